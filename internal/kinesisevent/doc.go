// Package kinesisevent is what AWS Lambda's event source for Kinesis calls: it
// reads the payload of an invocation and hands its events to the speed layer.
//
// It knows the shape of the payload, the aggregates of the Kinesis Producer
// Library, which Lambda does not take apart, and the protocol. It knows no store
// and no function: those are wired where the program is built.
//
// # What the event source promises, and what it does not
//
// A batch holds records of one shard, in log order. It comes at least once: after
// an error or a timeout it comes again, perhaps with other bounds, and perhaps
// while the invocation before still runs. protocol.Speed.Apply is made for that,
// so the handler adds nothing but an error whenever it is not certain that every
// event of the batch is committed. It never reports single records as failed, and
// never passes one over: the event source has to be set to retry for ever.
//
// # Reading a payload
//
// Decode is the only place that knows how a payload is written. It is strict:
// what it does not understand is an error, and the shard stops with an alarm
// instead of going on without an event. Arrivals are read digit by digit, since
// the seconds with a fraction that Lambda sends have no exact binary form, and
// every layer must see the same millisecond.
package kinesisevent
