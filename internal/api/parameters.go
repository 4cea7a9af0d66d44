package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/serving"
)

// parameters reads a request's query string. Each parameter is given at most
// once, and one that is not known is refused: a filter that is misspelt must
// not be ignored.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badParameter("", "the query string is damaged: "+err.Error())
	}
	return values, onlyKnown(r, values, known...)
}

// onlyKnown refuses parameters that are not known or are given more than once.
func onlyKnown(r *http.Request, values url.Values, known ...string) error {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return badParameter(name, "there is no parameter "+strconv.Quote(name)+"; "+r.URL.Path+" takes "+takes(known))
		}
		if len(values[name]) > 1 {
			return badParameter(name, "parameter "+name+" is given "+strconv.Itoa(len(values[name]))+" times; give it once, lists with commas")
		}
	}
	return nil
}

func takes(known []string) string {
	if len(known) == 0 {
		return "none"
	}
	return strings.Join(known, ", ")
}

var queryParameters = []string{"view", "by", "measures", "quantile", "from", "to", "every", "where", "order", "limit", "cursor", "format"}

// parseQuery reads what /v1/query takes.
func parseQuery(values url.Values) (q serving.Query, format string, err error) {
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
			return q, "", badParameter("limit", strconv.Quote(text)+" is no limit; write a whole number from 1, or leave it out for all rows")
		}
	}
	format, err = parseFormat(values, "json", "csv", "table")
	return q, format, err
}

// parseFormat gives the format asked for, one of those known; the first is the
// default.
func parseFormat(values url.Values, known ...string) (string, error) {
	format := values.Get("format")
	if format == "" {
		return known[0], nil
	}
	if !slices.Contains(known, format) {
		return "", badParameter("format", strconv.Quote(format)+" is no format here; write one of "+strings.Join(known, ", "))
	}
	return format, nil
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
