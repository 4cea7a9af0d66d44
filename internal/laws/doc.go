// Package laws holds the promise against the protocol: it plays random
// histories of a pipeline over in-memory stores and checks every answer with an
// oracle.
//
// Every store operation of every actor (invocations of the speed layer, batch
// runs, readers, the archive) is one step. A scheduler with a seeded random
// source decides whose step comes next, so an actor that is not chosen for long
// is a zombie, and injects faults: a crash before a step, a crash after it (it
// landed and the reply is lost), a step sent twice. Event i of a history is one
// bit of a cell's state, so an answer shows which events it holds, and how often.
package laws
