package definition

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

const keepExample = "keep: [{for: 7d, every: 1h}, {every: 1d}]"

// maxAge bounds `for`.
const maxAge = 36500 * 24 * time.Hour

// keep reads a view's rollup by age.
func (c *checker) keep(e entry, v View) []Keep {
	items, ok := c.list(e, "keep", keepExample)
	switch {
	case !ok:
		return nil
	case v.Every == None:
		c.fail(e.key, "remove it, or give the view a grain", "keep is about the age of time buckets, and view %s has none (every: none)", v.Name)
		return nil
	case len(items) < 2:
		c.fail(e.place(), "write "+keepExample+", or remove it", "keep needs at least two grains; %s is kept for all time without it", v.Every)
		return nil
	}
	var list []Keep
	for i, n := range items {
		k := c.age(n, i == len(items)-1)
		if k.Every != "" {
			c.ages(n, v, list, &k)
		}
		list = append(list, k)
	}
	return list
}

// age reads one entry of keep.
func (c *checker) age(n *yaml.Node, last bool) (k Keep) {
	fields := c.fields(entry{key: n, value: n}, "an entry of keep", "{for: 7d, every: 1h}", "for", "every")
	if n.Kind != yaml.MappingNode {
		return k
	}
	if f, ok := fields["every"]; !ok {
		c.fail(n, "add every: with the grain", "an entry of keep has no every")
	} else if g := c.grain(f); slices.Contains(grains, g) {
		k.Every = g
	}
	f, ok := fields["for"]
	switch {
	case ok && last:
		c.fail(f.key, "remove it; no bucket is ever forgotten", "the last entry of keep has a for, and it is kept for all time")
	case !ok && !last:
		c.fail(n, "add for: with the age up to which the grain is kept, such as for: 7d", "an entry of keep before the last has no for")
	case ok:
		k.For = c.forAge(f)
	}
	return k
}

func (c *checker) forAge(e entry) time.Duration {
	text, ok := c.text(e, "for", "for: 7d")
	if !ok {
		return 0
	}
	d, err := parseDuration(text, maxAge)
	if err != nil {
		c.fail(e.value, "write a whole number and s, m, h or d, such as 7d, from 1s to 36500d", "%q is not a duration", text)
	}
	return d
}

// ages holds an entry of keep against those before it.
func (c *checker) ages(n *yaml.Node, v View, before []Keep, k *Keep) {
	if len(before) == 0 {
		if k.Every != v.Every && slices.Contains(grains, v.Every) {
			c.fail(n, fmt.Sprintf("write every: %s here, or every: %s for the view", v.Every, k.Every), "keep begins with %s, and the view's grain is %s", k.Every, v.Every)
		}
		return
	}
	last := before[len(before)-1]
	if k.For > 0 && last.For >= k.For {
		c.fail(n, "order them by age, the youngest first", "keep says for: %s after for: %s, and the older comes later", shortDuration(k.For), shortDuration(last.For))
	}
	switch finer := last.Every; {
	case finer == "":
	case k.Every == None:
		c.fail(n, "write every: 1mo, or another grain", "keep cannot roll up into every: none: a bucket of all time never ends")
	case k.Every == finer || k.Every.NestsIn(finer):
		c.fail(n, "order them by grain, the finest first", "keep says every: %s after every: %s, and the older is the coarser", k.Every, finer)
	case !finer.NestsIn(k.Every):
		c.fail(n, "leave one of them out", "keep cannot roll up %s into %s: a week may lie in two months", finer, k.Every)
	}
}
