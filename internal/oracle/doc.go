// Package oracle computes every view from events' raw bytes by the shortest
// means that can be read at a sitting: encoding/json, cel-go's own evaluator,
// big integers, time.Time and maps. It is what the merged answer must equal.
//
// It knows the definition's types and nothing else of the product: it shares no
// decoding, parsing, time, arithmetic or merging with the layers, so that one
// mistake cannot be made twice and cancel.
package oracle
