package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// comments are what the code says of the fields of a struct, by their toml names. File is Go source.
func comments(file, structure string) (map[string]string, []string, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, nil, fmt.Errorf("read the comments of the code: %w", err)
	}
	said, order := map[string]string{}, []string(nil)
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != structure {
			return true
		}
		s, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range s.Fields.List {
			if f.Tag == nil {
				continue
			}
			tag, _ := strconv.Unquote(f.Tag.Value)
			name, _, _ := strings.Cut(reflect.StructTag(tag).Get("toml"), ",")
			if name == "" {
				continue
			}
			said[name], order = asSentence(strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")), append(order, name)
		}
		return false
	})
	if len(order) == 0 {
		return nil, nil, fmt.Errorf("%s has no struct %s with keys", file, structure)
	}
	return said, order, nil
}

// asSentence begins with a capital letter and ends with a full stop.
func asSentence(text string) string {
	if text == "" {
		return ""
	}
	if first, _, _ := strings.Cut(text, " "); first == strings.ToLower(first) && !strings.ContainsAny(first[:1], `"`) && !strings.HasPrefix(text, "a-z") {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
