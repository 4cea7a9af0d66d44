// Package stack is a pipeline on AWS as CDK constructs, one for each part: a type,
// its Props, and New. A construct's Props are checked before it makes anything.
//
// It knows the definition, the columns of the master dataset, and the checked
// configuration. It holds no logic of a layer: what the functions do is in them.
package stack
