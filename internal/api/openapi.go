package api

import (
	_ "embed"
	"net/http"
)

//go:generate go run ./openapigen ../.. openapi.json

// openapi is the document of all operations, made by `make generate`.
//
//go:embed openapi.json
var openapi []byte

func (h *Handler) document(w http.ResponseWriter, r *http.Request, _ given) error {
	w.Header().Set("Content-Type", contentTypes["json"])
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(openapi)
	return err
}
