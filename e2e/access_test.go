//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/deployment/access"
)

// held compares what the functions have asked of AWS with what they may. The
// stand-in has refused what a role's policies do not allow, so here a refusal is a
// fault; and what is allowed and was never asked for is told.
func (s *stack) held(t *testing.T, engine *engine) {
	t.Helper()
	calls, said := s.of(engine.user.AccessKeyID)
	for c, n := range calls {
		if c.service == "s3" && c.status == http.StatusForbidden {
			t.Errorf("the engine was refused %s %d times: %s", c.action(), n, said[c])
		}
	}
	resources := s.resources(t)
	for _, function := range access.Functions() {
		calls, said := s.of(s.key(t, resources, function))
		if len(calls) == 0 {
			t.Errorf("no call of %s was recorded", function)
		}
		used := map[string]int{}
		for c, n := range calls {
			used[c.action()] += n
			switch {
			case c.status == http.StatusForbidden:
				t.Errorf("%s was refused %s %d times: %s", function, c.action(), n, said[c])
			case !access.Allows(function, c.action()):
				t.Errorf("%s asked for %s %d times, which package access does not have", function, c.action(), n)
			}
		}
		t.Logf("%s asked for %v", function, used)
		if unused := unused(function, used); len(unused) > 0 {
			t.Logf("%s may, and did not: %s", function, strings.Join(unused, ", "))
		}
	}
}

// unused are the actions that a function may take and did not. Keys are used by the
// stores, in the function's name.
func unused(function string, used map[string]int) []string {
	idle := map[string]bool{}
	for _, g := range access.Of(function) {
		for _, action := range g.Actions {
			if used[action] == 0 && !strings.HasPrefix(action, "kms:") {
				idle[action] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(idle))
}

// key is the access key with which a function calls: the stand-in makes it of the
// function's and the role's names (ministack/core/lambda_runtime.py).
func (s *stack) key(t *testing.T, resources map[string]map[string]string, function string) string {
	t.Helper()
	title := strings.ToUpper(function[:1]) + function[1:]
	name := one(t, resources["AWS::Lambda::Function"], title)
	role := one(t, resources["AWS::IAM::Role"], title+"Role")
	text := fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s:arn:aws:iam::%s:role/%s", region, number, name, number, role)
	sum := sha256.Sum256([]byte(text))
	return "ASIA" + strings.ToUpper(hex.EncodeToString(sum[:]))[:16]
}

// one is the physical name of the resource of one of the functions' constructs. Its
// logical name has the path of the construct, and ends with eight digits of CDK's.
func one(t *testing.T, of map[string]string, construct string) string {
	t.Helper()
	named := regexp.MustCompile("^Functions(Of[0-9a-f]+)?" + construct + "[0-9A-F]{8}$")
	for logical, physical := range of {
		if named.MatchString(logical) {
			return physical
		}
	}
	t.Fatalf("the stack has no %s in %v", named, of)
	return ""
}
