// Package api is the HTTP interface under /v1, with /metrics and /healthz. It
// turns requests into calls of the serving layer and of the functions it is
// given, and results and errors into responses. It decides nothing about
// answers.
package api
