package definition

import "slices"

// grains are all grains, finest first.
var grains = []Grain{Minute, FiveMinutes, FifteenMinutes, Hour, Day, Week, Month, None}

// Grains gives all grains, finest first.
func Grains() []Grain { return slices.Clone(grains) }

// NestsIn reports whether every bucket of the grain lies in one bucket of the
// coarse one, as it does in its own. Weeks do not lie in months.
func (g Grain) NestsIn(coarse Grain) bool {
	if g == Week && coarse == Month {
		return false
	}
	at := slices.Index(grains, g)
	return at >= 0 && at <= slices.Index(grains, coarse)
}
