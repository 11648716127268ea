package reference

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/smartvillage/nabz/internal/conf"
)

// File is a configuration file and all that can stand in it.
type File struct {
	Name     string // "agent.toml"
	Whose    string // the program that reads it
	About    []string
	Sections []Section
}

// Section is a part of a file below its own name in brackets; Name is "" for what stands before the first.
type Section struct {
	Name  string
	Many  bool // it may be there any number of times, in double brackets
	About string
	Keys  []Key
}

// Key is one setting.
type Key struct {
	Name    string // as messages tell it: "uplink.keepalive"
	Kind    string // what is written: "text", "length of time" …
	About   string // the comment of the example file
	Default string // as it is written in the file; "" where there is none
	Metered string // of the profile metered, where it has another
	Takes   Takes
	refuses refuses
}

// leaf is the key as it stands in its section.
func (k Key) leaf() string { return k.Name[strings.LastIndexByte(k.Name, '.')+1:] }

// kindOf says how a value of a type is written; "" for a section.
func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[conf.Duration]():
		return "length of time"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()), t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "whole number"
	case t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return "list of texts"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return ""
	}
	panic(fmt.Sprintf("reference: nothing is known of a %v", t))
}

// kinds are the keys of a struct, sections taken apart, with how each is written.
func kinds(prefix string, t reflect.Type, to map[string]string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if name == "" || name == "-" {
			continue
		}
		if kind := kindOf(t.Field(i).Type); kind != "" {
			to[prefix+name] = kind
		} else if t.Field(i).Type.Kind() == reflect.Struct {
			kinds(prefix+name+".", t.Field(i).Type, to)
		}
	}
}
