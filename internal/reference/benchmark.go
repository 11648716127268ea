package reference

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/smartvillage/nabz/collector/benchmark"
)

// least is a benchmark with nothing in it that could be left out, by section and key.
func least() [][2]string {
	return [][2]string{{"id", `"ours"`}, {"name", `"Ours"`}, {"[source]", ""}, {"source.title", `"A text"`}, {"source.publisher", `"Us"`}, {"source.date", `"2026"`}, {"source.checked", `"Against itself."`},
		{"[[criterion]]", ""}, {"criterion.id", `"down"`}, {"criterion.name", `"Down"`}, {"criterion.measure", `"down_bps"`}, {"criterion.statistic", `"median"`}, {"criterion.at_least", "1.0"}}
}

// with is that benchmark with one key set to something else.
func with(key, value string) string {
	text, section := "", ""
	for i := strings.LastIndexByte(key, '.'); i >= 0; i = -1 {
		section = key[:i]
	}
	leaf, set := key[strings.LastIndexByte(key, '.')+1:]+" = "+value+"\n", false
	for _, line := range least() {
		name := line[0][strings.LastIndexByte(line[0], '.')+1:]
		switch {
		case line[0] == key:
			text, set = text+leaf, true
		case strings.HasPrefix(line[0], "["):
			if !set && section == "" {
				text, set = text+leaf, true
			}
			text += line[0] + "\n"
			if here := strings.Trim(line[0], "[]"); here == section && !has(key) {
				text, set = text+leaf, true
			}
		default:
			text += name + " = " + line[1] + "\n"
		}
	}
	return text
}

func has(key string) bool {
	for _, line := range least() {
		if line[0] == key {
			return true
		}
	}
	return false
}

// benchmarks is a file of report.benchmarks_dir.
func benchmarks(root string) (File, error) {
	f := File{Name: "benchmark.toml", Whose: "nabz-collector", About: []string{"What a report is measured against, one file a benchmark, in report.benchmarks_dir. Begin with a copy: nabz-collector report benchmarks --show giga > ours.toml. What a limit takes depends on what is measured."}}
	for _, part := range []struct {
		structure, section string
		t                  reflect.Type
	}{
		{"Benchmark", "", reflect.TypeFor[benchmark.Benchmark]()}, {"Source", "source", reflect.TypeFor[benchmark.Source]()}, {"Criterion", "criterion", reflect.TypeFor[benchmark.Criterion]()},
	} {
		said, order, err := comments(filepath.Join(root, "collector/benchmark/benchmark.go"), part.structure)
		if err != nil {
			return f, fmt.Errorf("benchmark.toml: %w", err)
		}
		kind := map[string]string{}
		kinds("", part.t, kind)
		s := Section{Name: part.section, Many: part.section == "criterion"}
		for _, name := range order {
			if kind[name] == "" {
				continue
			}
			k := Key{Name: strings.TrimPrefix(part.section+"."+name, "."), Kind: kind[name], About: said[name]}
			k.refuses = func(value string) string {
				_, err := benchmark.Parse("benchmark.toml", []byte(with(k.Name, value)))
				return about(err, strings.Replace(k.Name, "criterion.", "criterion[0].", 1))
			}
			k.Takes = provoke(k.Kind, k.refuses)
			s.Keys = append(s.Keys, k)
		}
		f.Sections = append(f.Sections, s)
	}
	return f, nil
}
