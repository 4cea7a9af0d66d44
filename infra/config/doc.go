// Package config reads what a deployment chooses: the file of `-c config=FILE`.
// What a pipeline means is in its definition; what is here decides no answer.
//
// The file is checked as a whole before CDK starts: every key that does not exist
// and every value that is not allowed is named with its line, its column, and what
// to write instead.
package config
