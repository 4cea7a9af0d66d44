package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

const modulePath = "github.com/watershed-data/watershed/"

// schemas makes JSON Schemas of Go types, as encoding/json writes them.
type schemas struct {
	module   string // folder
	names    map[reflect.Type]string
	made     map[string]any                          // by name
	comments map[string]map[string]map[string]string // of fields, by package, type and field
}

func newSchemas(module string) *schemas {
	return &schemas{module: module, names: map[reflect.Type]string{}, made: map[string]any{}, comments: map[string]map[string]map[string]string{}}
}

// add makes the schema of a struct, and of what it refers to.
func (s *schemas) add(t reflect.Type) error {
	name := s.name(t)
	if _, ok := s.made[name]; ok {
		return nil
	}
	s.made[name] = nil // a type may refer to itself
	properties, required := map[string]any{}, []string{}
	if err := s.fields(t, properties, &required); err != nil {
		return err
	}
	s.made[name] = map[string]any{"type": "object", "properties": properties, "required": required}
	return nil
}

// name gives the name of a type's schema: its own, unless another package's type has it.
func (s *schemas) name(t reflect.Type) string {
	if name, ok := s.names[t]; ok {
		return name
	}
	name := t.Name()
	for _, taken := range s.names {
		if taken == name {
			pkg := filepath.Base(t.PkgPath())
			name = strings.ToUpper(pkg[:1]) + pkg[1:] + t.Name()
		}
	}
	s.names[t] = name
	return name
}

func (s *schemas) fields(t reflect.Type, properties map[string]any, required *[]string) error {
	comments, err := s.commentsOf(t)
	if err != nil {
		return err
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			if err := s.fields(f.Type, properties, required); err != nil {
				return err
			}
			continue
		case !f.IsExported() || tag == "-":
			continue
		case tag == "":
			return fmt.Errorf("field %s of %s has no name in JSON", f.Name, t)
		}
		mayLack := strings.Contains(options, "omitempty")
		schema, err := s.schema(f.Type, mayLack)
		if err != nil {
			return fmt.Errorf("field %s of %s: %w", f.Name, t, err)
		}
		if text := comments[f.Name]; text != "" {
			schema["description"] = text
		}
		properties[tag] = schema
		if !mayLack {
			*required = append(*required, tag)
		}
	}
	return nil
}

// schema gives the schema of a value. notNil says that it is left out where it would be
// null.
func (s *schemas) schema(t reflect.Type, notNil bool) (map[string]any, error) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}, nil
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}, nil
	}
	kind := func(name string) any {
		if notNil {
			return name
		}
		return []string{name, "null"}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}, nil
	case reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Slice:
		items, err := s.schema(t.Elem(), true)
		return map[string]any{"type": kind("array"), "items": items}, err
	case reflect.Map:
		values, err := s.schema(t.Elem(), true)
		return map[string]any{"type": kind("object"), "additionalProperties": values}, err
	case reflect.Pointer:
		of, err := s.schema(t.Elem(), true)
		if err != nil || notNil {
			return of, err
		}
		return map[string]any{"anyOf": []any{of, map[string]any{"type": "null"}}}, nil
	case reflect.Struct:
		return map[string]any{"$ref": "#/components/schemas/" + s.name(t)}, s.add(t)
	}
	return nil, fmt.Errorf("%s has no schema", t)
}

// commentsOf gives what the source says of a struct's fields.
func (s *schemas) commentsOf(t reflect.Type) (map[string]string, error) {
	pkg := t.PkgPath()
	if s.comments[pkg] == nil {
		read, err := readComments(filepath.Join(s.module, filepath.FromSlash(strings.TrimPrefix(pkg, modulePath))))
		if err != nil {
			return nil, err
		}
		s.comments[pkg] = read
	}
	return s.comments[pkg][t.Name()], nil
}

// readComments gives the comments on fields of a folder's structs, by struct and field.
func readComments(dir string) (map[string]map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.StructType); ok {
				out[spec.Name.Name] = fieldComments(of)
			}
			return false
		})
	}
	return out, nil
}

func fieldComments(of *ast.StructType) map[string]string {
	out := map[string]string{}
	for _, f := range of.Fields.List {
		text := f.Doc.Text()
		if text == "" {
			text = f.Comment.Text()
		}
		for _, name := range f.Names {
			out[name.Name] = strings.Join(strings.Fields(text), " ")
		}
	}
	return out
}
