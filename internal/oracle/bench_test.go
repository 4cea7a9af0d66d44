package oracle

import "testing"

func BenchmarkAdd(b *testing.B) {
	log := New(parse(b, sales)).Log("shard")
	ev := events(`{"zipcode":95126,"item":{"name":" Tea "},"price":16,"sold_at":"2014-11-01 19:35:41.158","pieces":3}`)[0]
	for b.Loop() {
		log.Add(ev)
	}
}
