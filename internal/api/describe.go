package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"strconv"
	"strings"
)

// node is a part of a JSON document.
type node = map[string]any

func ref(schema string) node { return node{"$ref": "#/components/schemas/" + schema} }

// Describe gives the OpenAPI document of all operations, indented. schemas are those
// of the answers that only their layers know, by the names under which operations refer
// to them.
func Describe(schemas map[string]any) ([]byte, error) {
	all := maps.Clone(schemas)
	maps.Copy(all, ownSchemas)
	paths := node{}
	for _, o := range operations() {
		item, ok := paths[o.path].(node)
		if !ok {
			item = node{}
			paths[o.path] = item
		}
		item[strings.ToLower(o.method)] = o.describe()
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(node{
		"openapi": "3.1.0",
		"info": node{
			"title": "Watershed", "version": "1", "summary": "The merged views of a pipeline, and what keeps them",
			"description": "One API for a pipeline in local mode and for its stack on AWS. What one of them does not serve it answers with status 501, and says what to do instead. HEAD is served where GET is.",
			"license":     node{"name": "Apache 2.0", "identifier": "Apache-2.0"},
		},
		"servers": []node{
			{"url": "http://127.0.0.1:4580", "description": "Local mode, where it listens by default"},
			{
				"url": "https://{api}.execute-api.{region}.amazonaws.com", "description": "A stack's API: its output Endpoint",
				"variables": node{"api": node{"default": "api"}, "region": node{"default": "us-east-1"}},
			},
		},
		"security": []node{{}, {"token": []string{}}, {"signature": []string{}}},
		"paths":    paths,
		"components": node{
			"schemas": all,
			"securitySchemes": node{
				"token": node{"type": "http", "scheme": "bearer", "description": "Local mode that listens off loopback: the token of WATERSHED_TOKEN."},
				"signature": node{
					"type": "apiKey", "in": "header", "name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4",
					"description": "A stack: AWS Signature Version 4 for the service execute-api.",
				},
			},
		},
	})
	return out.Bytes(), err
}

// describe gives the operation's object.
func (o *operation) describe() node {
	out := node{"operationId": string(o.name), "summary": o.summary}
	if o.about != "" {
		out["description"] = o.about
	}
	var parameters []node
	for _, p := range o.parameters {
		described := node{"name": p.name, "in": "query", "description": p.about, "schema": p.schema()}
		if p.required {
			described["required"] = true
		}
		if p.example != "" {
			described["example"] = p.value()
		}
		parameters = append(parameters, described)
	}
	if len(parameters) > 0 {
		out["parameters"] = parameters
	}
	if body := o.describeBody(); body != nil {
		out["requestBody"] = body
	}
	responses := node{"default": node{
		"description": "Why it was not done: 400, the request cannot be understood; 404, what it names does not exist; 409, it cannot be done twice; 500, something went wrong inside; 501, it is not served here; 503, not now.",
		"content":     node{"application/json": node{"schema": ref("Error")}},
	}}
	for _, a := range o.answers {
		responses[strconv.Itoa(a.status)] = a.describe()
	}
	out["responses"] = responses
	return out
}

func (o *operation) describeBody() node {
	content := node{}
	if len(o.form) > 0 {
		fields := node{}
		for _, p := range o.form {
			schema := p.schema()
			schema["description"] = p.about
			if p.example != "" {
				schema["examples"] = []any{p.value()}
			}
			fields[p.name] = schema
		}
		content["application/x-www-form-urlencoded"] = node{"schema": node{"type": "object", "properties": fields, "additionalProperties": false}}
	}
	for _, kind := range o.body {
		content[kind] = node{}
	}
	if len(content) == 0 {
		return nil
	}
	return node{"required": true, "content": content}
}

func (p *parameter) schema() node {
	out := node{"type": string(p.kind)}
	switch {
	case p.kind == whole:
		out["minimum"] = 1
	case p.kind == boolean:
	case len(p.values) > 0:
		out["enum"] = p.values
	}
	return out
}

// value gives the example as a value of the parameter's kind.
func (p *parameter) value() any {
	if n, err := strconv.Atoi(p.example); err == nil && p.kind == whole {
		return n
	}
	return p.example
}

func (a *reply) describe() node {
	out := node{"description": a.about}
	content := node{}
	for _, f := range a.formats {
		described := node{}
		if f == "json" && a.of != "" {
			described["schema"] = ref(a.of)
		}
		content[mediaType(f)] = described
	}
	out["content"] = content
	if a.headers {
		out["headers"] = answerHeaders
	}
	return out
}

// mediaType gives the content type of a format, or of what is one already, without
// its parameters.
func mediaType(format string) string {
	kind := format
	if known, ok := contentTypes[format]; ok {
		kind = known
	}
	bare, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return kind
	}
	return bare
}

var answerHeaders = node{
	versionHeader:  node{"description": "The version of the batch views; not there before the first one.", "schema": node{"type": "string"}},
	completeHeader: node{"description": "As complete of the answer in JSON.", "schema": node{"type": "boolean"}},
	nextHeader:     node{"description": "The cursor of the next page, if there is one.", "schema": node{"type": "string"}},
	warningHeader:  node{"description": "What is to be known of the lookups that the answer used, quoted as in Go.", "schema": node{"type": "string"}},
}

// ownSchemas are those of what is no Go type, or none of another layer.
var ownSchemas = node{
	"Object": node{"type": "object"},
	"Error": node{
		"type": "object", "required": []string{"error"},
		"properties": node{"error": node{
			"type": "object", "required": []string{"code", "message", "field"},
			"properties": node{
				"code":    node{"type": "string", "description": "For programs.", "examples": []string{"invalid"}},
				"message": node{"type": "string", "description": "For people: what is wrong, and what to write instead."},
				"field":   node{"type": "string", "description": "The parameter at fault; empty if none is."},
			},
		}},
	},
	"Answer": node{
		"type": "object", "required": []string{"view", "version", "watershed", "freshness", "complete", "committed", "columns", "rows", "next"},
		"properties": node{
			"view":      node{"type": "string"},
			"version":   node{"type": []string{"string", "null"}, "description": "The version of the batch views; null before the first one."},
			"watershed": node{"type": []string{"string", "null"}, "format": "date-time", "description": "The time of the version's cut."},
			"freshness": node{"type": []string{"string", "null"}, "format": "date-time", "description": "The arrival that every open shard has reached; null if one has nothing committed yet."},
			"complete":  node{"type": "boolean"},
			"why":       node{"type": "string", "description": "Why it is not complete."},
			"committed": node{"type": "object", "additionalProperties": node{"type": "string"}, "description": "By shard, the position up to which the answer holds its events."},
			"kept": node{"type": "array", "description": "How wide buckets are of a view that rolls up by age, the oldest first.", "items": node{
				"type": "object", "required": []string{"every"}, "properties": node{"every": node{"type": "string"}, "before": node{"type": "string"}},
			}},
			"lookups": node{"type": "array", "items": ref("LookupState"), "description": "Those that the answer used."},
			"columns": node{"type": "array", "items": node{
				"type": "object", "required": []string{"name", "type"},
				"properties": node{"name": node{"type": "string"}, "type": node{"type": "string", "examples": []string{"timestamp", "string", "int", "decimal(38,2)"}}},
			}},
			"rows": node{"type": "array", "description": "Objects whose members are the columns. Ints and floats are numbers, bools are true and false, everything else is a string; null is null.", "items": node{
				"type": "object", "additionalProperties": node{"type": []string{"string", "number", "boolean", "null"}},
			}},
			"next": node{"type": []string{"string", "null"}, "description": "The cursor of the next page; null: this is the last one."},
		},
	},
	"Loads": node{"oneOf": []node{
		ref("Load"),
		{"type": "object", "required": []string{"loads"}, "properties": node{"loads": node{"type": []string{"array", "null"}, "items": ref("Load")}}},
	}},
}
