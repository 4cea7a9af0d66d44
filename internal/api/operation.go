package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// operation is one method of one path: what it takes, what it says of itself in the
// OpenAPI document, and what serves it. Nothing takes a parameter that is not here.
type operation struct {
	name       Operation
	method     string
	path       string
	summary    string
	about      string // more than the summary; "": nothing is to be said
	parameters []parameter
	lenient    bool // parameters that it does not have are passed over
	form       []parameter
	body       []string // content types of a body that is no form
	answers    []reply
	serve      func(h *Handler, w http.ResponseWriter, r *http.Request, given given) error
}

// parameter is one parameter of a query string or of a form.
type parameter struct {
	name     string
	about    string
	kind     kind
	values   []string // that are allowed; nil: any of its kind
	required bool
	example  string
}

// kind is a JSON Schema's type.
type kind string

const (
	text    kind = "string"
	whole   kind = "integer"
	boolean kind = "boolean"
)

// reply is one of an operation's answers that are no errors.
type reply struct {
	status  int
	about   string
	formats []string // of contentTypes, or content types
	headers bool     // it has the headers of answers
	of      string   // the schema of the answer in JSON; "": it is none
}

// paths gives the paths of operations, in their order.
func paths(of []operation) []string {
	var out []string
	for _, o := range of {
		if !slices.Contains(out, o.path) {
			out = append(out, o.path)
		}
	}
	return out
}

// methods gives the methods that a path takes, as the header Allow does. HEAD is
// served where GET is.
func methods(of []operation, path string) []string {
	var out []string
	for _, o := range of {
		if o.path != path {
			continue
		}
		if o.method == http.MethodGet {
			out = append(out, http.MethodHead)
		}
		out = append(out, o.method)
	}
	slices.Sort(out)
	return out
}

func names(of []parameter) []string {
	out := make([]string, len(of))
	for i, p := range of {
		out[i] = p.name
	}
	return out
}

// given is what a request gives to its operation.
type given struct {
	url.Values // of the query string; a form's are in the body
	to         *operation
}

// format is the form in which the answer is wanted.
func (g given) format() string {
	if f := g.Get("format"); f != "" {
		return f
	}
	return "json"
}

// queryValues reads a request's query string.
func (o *operation) queryValues(r *http.Request) (url.Values, error) {
	if o.lenient {
		return nil, nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badParameter("", "the query string is damaged: "+err.Error())
	}
	return values, o.check(values, o.parameters)
}

// formValues reads the form in a request's body.
func (o *operation) formValues(body []byte) (url.Values, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badParameter("", "the body is no form: "+err.Error())
	}
	return values, o.check(values, o.form)
}

// check refuses parameters that are not known or are given more than once: a filter
// that is misspelt must not be ignored.
func (o *operation) check(values url.Values, known []parameter) error {
	given := make([]string, 0, len(values))
	for name := range values {
		given = append(given, name)
	}
	slices.Sort(given)
	for _, name := range given {
		if !slices.Contains(names(known), name) {
			return badParameter(name, "there is no parameter "+strconv.Quote(name)+"; "+o.path+" takes "+takes(names(known)))
		}
		if len(values[name]) > 1 {
			return badParameter(name, "parameter "+name+" is given "+strconv.Itoa(len(values[name]))+" times; give it once, lists with commas")
		}
	}
	for _, p := range known {
		if text := values.Get(p.name); p.name == "format" && text != "" && !slices.Contains(p.values, text) {
			return badParameter(p.name, strconv.Quote(text)+" is no format here; write one of "+strings.Join(p.values, ", "))
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
