// Package openapi writes the OpenAPI 3.1 document of the REST API from a table
// of its routes and the Go types that they read and write.
//
// The one idea: a schema is what encoding/json does with a type. A member is
// required unless its tag says omitempty or omitzero, so the types that handlers
// use anyway are all there is to keep right.
package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Route is one call of the API.
type Route struct {
	Pattern string  // as http.ServeMux has it: "GET /api/v1/tasks/{task}"
	Summary string  // a phrase, without a full stop
	Query   []Param // in the order in which they are shown
	In      any     // a value of the type of the body; nil: there is none
	InType  string  // media type of a body that is not JSON; "": JSON
	Out     any     // a value of the type of the answer; nil: none, with status 204
	OutType string  // media type of an answer that is not JSON; "": JSON
	Tagged  bool    // the answer carries its version as ETag
	Lease   bool    // the lease's token may come as X-Lockstep-Lease
}

// Param is a parameter of the query.
type Param struct {
	Name, Description string
	Kind              string   // boolean, integer or string; "": string
	Enum              []string // nil: anything
}

// Object is the type of an answer that is made of parts: their types by name. A
// name that ends with "?" need not be there.
type Object map[string]any

// List is the type of a page of a list, under a name.
func List(name string, row any) Object {
	rows := any([]any{})
	if _, parts := row.(Object); !parts {
		rows = reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(row)), 0, 0).Interface()
	}
	return Object{name: rows, "next_cursor?": ""}
}

// Paging are the parameters of a page.
func Paging(more ...Param) []Param {
	return append(more,
		Param{Name: "limit", Kind: "integer", Description: "how many rows at most: 50 unless said, and no more than 200"},
		Param{Name: "cursor", Description: "the next_cursor of the page before"})
}

// Document is what is to be written.
type Document struct {
	Title, Version, Description string
	Routes                      []Route
	Enums                       map[reflect.Type][]string // values of types of texts
}

// object keeps JSON objects short to write.
type object = map[string]any

// writer gathers the schemas of named types.
type writer struct {
	enums   map[reflect.Type][]string
	schemas object
	names   map[reflect.Type]string
}

// JSON writes the document. It is the same for the same table.
func (d Document) JSON() ([]byte, error) {
	w := &writer{enums: d.Enums, names: map[reflect.Type]string{}, schemas: object{
		"Error": object{
			"type": "object", "required": []string{"error"},
			"properties": object{"error": object{
				"type": "object", "required": []string{"code", "message"},
				"properties": object{
					"code":    object{"type": "string", "description": "stable; programs act on it"},
					"message": object{"type": "string", "description": "a sentence for people"},
					"details": object{"type": "object"},
				},
			}},
		},
	}}
	paths := object{}
	for _, r := range d.Routes {
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok {
			return nil, fmt.Errorf("the route %q has no method", r.Pattern)
		}
		at, _ := paths[path].(object)
		if at == nil {
			at = object{}
			paths[path] = at
		}
		if at[strings.ToLower(method)] != nil {
			return nil, fmt.Errorf("the route %s is there twice", r.Pattern)
		}
		at[strings.ToLower(method)] = w.operation(method, path, r)
	}
	return json.Marshal(object{
		"openapi":  "3.1.0",
		"info":     object{"title": d.Title, "version": d.Version, "description": d.Description},
		"paths":    paths,
		"security": []object{{}, {"bearer": []string{}}},
		"components": object{
			"schemas":         w.schemas,
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}},
			"responses": object{"Error": object{
				"description": "What went wrong",
				"content":     object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}}},
			}},
		},
	})
}

var wildcard = regexp.MustCompile(`\{([a-z_]+)\}`)

func (w *writer) operation(method, path string, r Route) object {
	params := []object{}
	for _, m := range wildcard.FindAllStringSubmatch(path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, q := range r.Query {
		kind := q.Kind
		if kind == "" {
			kind = "string"
		}
		schema := object{"type": kind}
		if q.Enum != nil {
			schema["enum"] = q.Enum
		}
		p := object{"name": q.Name, "in": "query", "schema": schema}
		if q.Description != "" {
			p["description"] = q.Description
		}
		params = append(params, p)
	}
	header := func(name, text string) {
		params = append(params, object{"name": name, "in": "header", "description": text, "schema": object{"type": "string"}})
	}
	if method == http.MethodPost {
		header("Idempotency-Key", "a repeated call with the same key gets the first one's answer")
	}
	if r.Lease {
		header("X-Lockstep-Lease", "the secret of the lease, unless it is in the body")
	}
	if r.Tagged && method != http.MethodGet {
		header("If-Match", `the version that was seen, such as "3": another one is refused`)
	}
	answers := object{"default": object{"$ref": "#/components/responses/Error"}}
	switch {
	case r.OutType != "":
		answers["200"] = object{"description": "OK", "content": object{r.OutType: object{}}}
	case r.Out == nil:
		answers["204"] = object{"description": "Done"}
	default:
		ok := object{"description": "OK", "content": object{"application/json": object{"schema": w.schema(r.Out)}}}
		if r.Tagged {
			ok["headers"] = object{"ETag": object{"description": "the version of the record", "schema": object{"type": "string"}}}
		}
		answers["200"] = ok
	}
	o := object{"operationId": operationID(method, path), "summary": r.Summary, "tags": []string{tag(path)}, "responses": answers}
	if len(params) > 0 {
		o["parameters"] = params
	}
	switch {
	case r.InType != "":
		o["requestBody"] = object{"required": true, "content": object{r.InType: object{}}}
	case r.In != nil:
		o["requestBody"] = object{"content": object{"application/json": object{"schema": w.schema(r.In)}}}
	}
	return o
}

// tag is what a call is about: the first part of its path.
func tag(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1/"), "/")
	return first
}

// operationID names a call: getTasksTaskWhy.
func operationID(method, path string) string {
	id := strings.ToLower(method)
	for _, word := range strings.FieldsFunc(strings.TrimPrefix(path, "/api/v1/"), func(c rune) bool { return strings.ContainsRune("/{}-_.", c) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

// schema is the schema of a value's type.
func (w *writer) schema(v any) object {
	parts, is := v.(Object)
	if !is {
		return w.of(reflect.TypeOf(v))
	}
	properties, required := object{}, []string{}
	for name, part := range parts {
		name, optional := strings.CutSuffix(name, "?")
		if !optional {
			required = append(required, name)
		}
		properties[name] = object{}
		if part != nil {
			properties[name] = w.schema(part)
		}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required}
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	jsonType = reflect.TypeFor[json.Marshaler]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

// of is the schema of a type. Structs that have a name are components.
func (w *writer) of(t reflect.Type) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == rawType:
		return object{} // any JSON
	case w.enums[t] != nil:
		return object{"type": "string", "enum": w.enums[t]}
	case t.Kind() == reflect.Pointer:
		return w.of(t.Elem())
	case t.Implements(describedType):
		return w.named(t, reflect.TypeOf(reflect.Zero(t).Interface().(described).OpenAPI()))
	case t.Implements(jsonType) || reflect.PointerTo(t).Implements(jsonType):
		return object{}
	case t.Implements(textType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": w.of(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": w.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": w.of(t.Elem())}
	case reflect.Struct:
		return w.component(t)
	}
	return object{}
}

// described is a type that writes its JSON itself, and has a value of a type
// with the same members.
type described interface{ OpenAPI() any }

var describedType = reflect.TypeFor[described]()

func (w *writer) component(t reflect.Type) object {
	if t.Name() == "" || strings.Contains(t.Name(), "[") {
		return w.fields(t)
	}
	return w.named(t, t)
}

// named is a component under the name of a type, with the members of another.
func (w *writer) named(t, members reflect.Type) object {
	name, known := w.names[t]
	if !known {
		name = strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if w.schemas[name] != nil { // another package has one of that name
			pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
			name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
		}
		w.names[t] = name
		w.schemas[name] = object{} // taken, while its members are looked at
		w.schemas[name] = w.fields(members)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (w *writer) fields(t reflect.Type) object {
	properties, required := object{}, []string{}
	w.members(t, properties, &required)
	s := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = slices.Compact(required)
	}
	return s
}

// members adds the members of a struct, and those of structs embedded in it,
// which its own go before.
func (w *writer) members(t reflect.Type, properties object, required *[]string) {
	var embedded []reflect.Type
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			embedded = append(embedded, inner)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if properties[name] != nil {
			continue
		}
		s := w.of(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
			if k := f.Type.Kind(); (k == reflect.Slice || k == reflect.Map || k == reflect.Pointer) && len(s) > 0 { // nil is null
				s = object{"anyOf": []object{s, {"type": "null"}}}
			}
		}
		properties[name] = s
	}
	for _, t := range embedded {
		w.members(t, properties, required)
	}
}

// Handler answers with a document, which is written once.
func Handler(d Document) http.Handler {
	text, err := d.JSON()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})
}
