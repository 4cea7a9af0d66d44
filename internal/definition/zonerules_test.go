package definition

import (
	"testing"
	"time"
)

// Two sets of rules under one name are two generations.
func TestTheRulesOfAZoneAreInItsName(t *testing.T) {
	t.Parallel()
	load := func(name string) *time.Location {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return zone
	}
	if a, b := zoneRules(load("America/New_York")), zoneRules(load("America/New_York")); a != b {
		t.Errorf("the same rules are %s and %s", a, b)
	}
	if a, b := zoneRules(time.FixedZone("X", 3600)), zoneRules(time.FixedZone("X", 7200)); a == b {
		t.Errorf("different rules are both %s", a)
	}
	if a, b := zoneRules(load("America/New_York")), zoneRules(load("America/Toronto")); a == b {
		t.Errorf("different zones are both %s", a)
	}
	if got := zoneRules(load("UTC")); got != "UTC" {
		t.Errorf("UTC is %s", got)
	}
}
