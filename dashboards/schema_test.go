package dashboards_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/dashboards"
	"github.com/smartvillage/nabz/internal/npmpack"
	"github.com/smartvillage/nabz/internal/testneed"
)

// schemas are Grafana's own types, and what reads them.
var schemas = []npmpack.Package{
	{Name: "@grafana/schema", Version: "13.2.3", Licence: "Apache-2.0", Integrity: "sha512-rk8FEO7yuFfRTK/JD39747SZFQ+iCTQbpm6Mh2OjnqGx/g/uQQFx56t64eCLXWEyoR68ru4cigcGKrXk+ozrLg=="},
	{Name: "typescript", Version: "5.9.3", Licence: "Apache-2.0", Integrity: "sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw=="},
}

// kinds are the panels that we use, by the module of Grafana's schema that has their types.
var kinds = map[string]string{
	"geomap": "geomap/panelcfg/x/GeomapPanelCfg_types.gen", "stat": "stat/panelcfg/x/StatPanelCfg_types.gen", "table": "table/panelcfg/x/TablePanelCfg_types.gen",
	"state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen", "timeseries": "timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
}

// preamble makes types of JSON out of Grafana's: an enumeration of texts becomes those texts.
const preamble = `
import type * as raw from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';
import type * as common from '@grafana/schema';
type JSONOf<T> = 0 extends (1 & T) ? any : T extends string ? ` + "`${T}`" + ` : T extends number | boolean | null | undefined ? T :
  T extends Array<infer U> ? JSONOf<U>[] : T extends object ? { [K in keyof T]: JSONOf<T[K]> } : T;
type Field<P> = Omit<raw.FieldConfig, 'custom'> & { custom?: P };
type NoCustom = {};
`

// program is TypeScript that assigns every panel's options and field configuration to the type that Grafana gives that panel.
func program(t *testing.T, all []dashboards.Dashboard) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(preamble)
	for kind, module := range kinds {
		fmt.Fprintf(&b, "import type * as %s from '@grafana/schema/dist/esm/raw/composable/%s';\n", name(kind), module)
	}
	say := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	n := 0
	declare := func(what, typ string, v any) {
		n++
		fmt.Fprintf(&b, "// %s\nexport const v%d: %s = %s;\n", what, n, typ, say(v))
	}
	for _, d := range all {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		declare(d.Title, "JSONOf<Partial<raw.Dashboard>>", json.RawMessage(text))
		for _, p := range d.Panels {
			what, kind := d.Title+": "+p.Title, name(p.Type)
			if kinds[p.Type] == "" {
				t.Errorf("%s is a %s, whose types the test does not know", what, p.Type)
				continue
			}
			custom := kind + ".FieldConfig"
			if p.Type == "stat" || p.Type == "geomap" { // these have no configuration of a field of their own
				custom = "NoCustom"
			}
			declare(what, "JSONOf<"+kind+".Options>", p.Options)
			declare(what, "JSONOf<Field<"+custom+">>", p.Defaults)
			for _, o := range p.Overrides {
				for _, property := range o.(map[string]any)["properties"].([]any) {
					p := property.(map[string]any)
					id, own := strings.CutPrefix(p["id"].(string), "custom.")
					of := "JSONOf<Field<NoCustom>>"
					if own {
						of = "JSONOf<" + custom + ">"
					}
					declare(what+", override", fmt.Sprintf("NonNullable<%s[%q]>", of, id), p["value"])
				}
			}
		}
	}
	return b.String()
}

func name(kind string) string { return strings.ReplaceAll(kind, "-", "") }

// compile returns what the TypeScript compiler finds wrong in each program, by its name.
func compile(t *testing.T, node, dir string, programs map[string]string) map[string]string {
	t.Helper()
	args := []string{filepath.Join(dir, "node_modules/typescript/lib/tsc.js"), "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--pretty", "false"}
	for name, program := range programs {
		if err := os.WriteFile(filepath.Join(dir, name+".ts"), []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name+".ts")
	}
	cmd := exec.CommandContext(t.Context(), node, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("run the TypeScript compiler: %v", err)
	}
	faults := map[string]string{}
	for _, fault := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		name, rest, ok := strings.Cut(fault, ".ts(")
		var line int
		if _, err := fmt.Sscanf(rest, "%d,", &line); !ok || err != nil || line < 2 {
			if fault != "" && !strings.HasPrefix(fault, " ") {
				t.Fatalf("the TypeScript compiler says: %s", out)
			}
			continue
		}
		panel := strings.Split(programs[name], "\n")[line-2] // the line above names it
		faults[name] += strings.TrimPrefix(panel, "// ") + ": " + fault + "\n"
	}
	return faults
}

func TestEveryPanelIsWhatGrafanasSchemaSaysOfIt(t *testing.T) {
	npm, node := testneed.Program(t, "npm", "apt-get install npm"), testneed.Program(t, "node", "apt-get install nodejs")
	dir := t.TempDir()
	for _, p := range schemas {
		if err := p.Unpack(t.Context(), npm, filepath.Join(dir, "node_modules", p.Name)); err != nil {
			testneed.Missing(t, p.Name, err.Error())
		}
	}
	// What is wrong is found: a misspelt option, a word that is none, a text for a number, a cell of a kind that is not.
	bad := dashboards.All("")
	bad[0].Panels[0].Options["colourMode"] = "value"
	bad[1].Panels[1].Options["textMode"] = "loud"
	bad[2].Panels[0].Defaults["decimals"] = "two"
	bad[3].Panels = bad[3].Panels[6:7] // the table
	bad[3].Panels[0].Overrides = append(bad[3].Panels[0].Overrides, map[string]any{"properties": []any{map[string]any{"id": "custom.cellOptions", "value": map[string]any{"type": "glitter"}}}})
	faults := compile(t, node, dir, map[string]string{"good": program(t, dashboards.All("")), "bad": program(t, bad)})
	if faults["good"] != "" {
		t.Errorf("%s", faults["good"])
	}
	for _, want := range []string{"colourMode", `"loud"`, "Type 'string' is not assignable to type 'number'", `"glitter"`} {
		if !strings.Contains(faults["bad"], want) {
			t.Errorf("the check does not find %s in\n%s", want, faults["bad"])
		}
	}
}

// TestTheScopeIsAllSitesUntilADistrictOrAnOperatorIsChosen runs the variable's expression as Grafana does, in JavaScript, and holds it against what
// Check reckons with.
func TestTheScopeIsAllSitesUntilADistrictOrAnOperatorIsChosen(t *testing.T) {
	node := testneed.Program(t, "node", "apt-get install nodejs")
	regex := ""
	for _, v := range dashboards.All("")[0].Variables {
		if v.Name == "scope" {
			regex = v.Regex
		}
	}
	for _, tt := range []struct{ name, district, operator, want string }{
		{"nothing chosen", ".*", ".*", ".*"},
		{"a district", "North", ".*", "gokina"},
		{"an operator", ".*", `Pamir \(sat\)`, "gokina"},
		{"both, several", "(North|South)", "(A|B)", "gokina"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			filled := strings.NewReplacer("$district", tt.district, "$operator", tt.operator).Replace(regex)
			out, err := exec.CommandContext(t.Context(), node, "-e", "process.stdout.write("+filled+".exec('*;*;gokina;.*').groups.value)").CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("got %q (%v), want %q", out, err, tt.want)
			}
		})
	}
}
