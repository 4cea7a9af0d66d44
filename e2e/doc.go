// Package e2e deploys a whole pipeline to a stand-in for AWS with the CDK command
// that everybody uses, sends events through it with the clients that everybody
// uses, and holds every merged answer against the oracle.
//
// Its tests have the build tag e2e and are run by `make e2e`, which fetches and
// builds what they start. They know the product from the outside: its commands, its
// stack's outputs, its HTTP API. Of its packages they use the definition, the oracle
// that computes what an answer must be, and the table of what a function may do.
package e2e
