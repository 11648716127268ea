package telemetry

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTheDocumentedSchemaIsTheOneInForce writes the tables anew with NABZ_UPDATE=1.
func TestTheDocumentedSchemaIsTheOneInForce(t *testing.T) {
	documented(t, Schema(), "<!-- schema -->\n", "<!-- /schema -->")
	documented(t, OwnSchema(), "<!-- own schema -->\n", "<!-- /own schema -->")
}

func documented(t *testing.T, schema []Measurement, open, end string) {
	t.Helper()
	const file = "../docs/telemetry.md"
	var b strings.Builder
	b.WriteString("| measurement | tier | what | tags | fields |\n|---|---|---|---|---|\n")
	for _, m := range schema {
		var tags, fields []string
		for _, s := range m.Tags {
			name := "`" + s.Key + "`"
			if !s.Optional {
				name += "*"
			}
			if s.Values != nil {
				name += " (" + strings.Join(s.Values, ", ") + ")"
			}
			tags = append(tags, name)
		}
		for _, s := range m.Fields {
			name := "`" + s.Key + "`"
			if s.Required {
				name += "*"
			}
			unit := s.Type.String()
			if s.Unit != "" {
				unit += ", " + s.Unit
			}
			if s.Step > 0 {
				unit += fmt.Sprintf(", to %v", s.Step)
			}
			if s.Digits > 0 {
				unit += fmt.Sprintf(", to %d digits", s.Digits)
			}
			fields = append(fields, name+" "+unit)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Tier, m.Help, strings.Join(tags, "; "), strings.Join(fields, "; "))
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(page), open)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has lost its %q marks", file, strings.TrimSpace(open))
	}
	if got == b.String() {
		return
	}
	if os.Getenv("NABZ_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(head+open+b.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s does not show the schema in force; NABZ_UPDATE=1 go test ./telemetry writes it anew", file)
}
