// Package httpapi lets an http.Handler answer behind API Gateway: it makes requests
// of the events that an HTTP API sends to a Lambda function (payload format 2.0), and
// the function's results of the responses.
//
// It knows the payload and what Lambda takes as a result, and nothing of what is
// served.
package httpapi
