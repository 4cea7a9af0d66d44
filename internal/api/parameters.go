package api

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/serving"
)

// parseQuery reads what /v1/query takes.
func parseQuery(values url.Values) (q serving.Query, err error) {
	q = serving.Query{
		View: values.Get("view"), Measures: splitList(values.Get("measures")), Quantiles: splitList(values.Get("quantile")),
		From: values.Get("from"), To: values.Get("to"), Every: definition.Grain(values.Get("every")), Where: values.Get("where"),
		Order: serving.ParseOrder(splitList(values.Get("order"))), Cursor: values.Get("cursor"),
	}
	if values.Has("by") {
		q.By = append([]string{}, splitList(values.Get("by"))...)
	}
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 {
			return q, badParameter("limit", strconv.Quote(text)+" is no limit; write a whole number from 1, or leave it out for all rows")
		}
	}
	return q, nil
}

// splitList takes a list with commas apart; the empty text is the empty list.
func splitList(text string) []string {
	if text == "" {
		return nil
	}
	names := strings.Split(text, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// contentTypes of the formats.
var contentTypes = map[string]string{
	"json":  "application/json",
	"csv":   "text/csv; charset=utf-8; header=present",
	"table": "text/plain; charset=utf-8",
}
