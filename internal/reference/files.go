package reference

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/conf"
)

// Files are all configuration files. Root is the folder of the source, whose comments are read; scratch a folder that may be written to.
func Files(root, scratch string) ([]File, error) {
	services, err1 := many(root, "agent/service/config.go", "Config", "service", reflect.TypeFor[service.Config](), func(text string) error {
		return agentSays("site = \"gokina\"\n" + text)
	}, map[string]string{"name": `"e-health"`})
	sites, err2 := many(root, "collector/fleet/site.go", "Site", "site", reflect.TypeFor[fleet.Site](), func(text string) error {
		file := filepath.Join(scratch, "sites.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		_, err := fleet.OpenRegistry(file, filepath.Join(scratch, "none"))
		return err
	}, map[string]string{"id": `"gokina"`})
	a := agentFile()
	a.Sections = append(a.Sections, services)
	b, err3 := benchmarks(root)
	return []File{a, collectorFile(),
		{Name: "sites.toml", Whose: "nabz-collector", About: []string{"The programme's sites: [[site]] once for each. The collector takes a change in by itself; \"nabz-collector site import\" writes it from a spreadsheet. Only id is required."}, Sections: []Section{sites}},
		b}, errors.Join(err1, err2, err3)
}

func agentSays(text string) error {
	c, doc, err := agent.Parse("agent.toml", []byte(text), "")
	if doc == nil {
		return err
	}
	return errors.Join(err, c.Validate(doc))
}

func collectorSays(text string) error {
	c := collector.Defaults()
	doc, err := conf.Parse("collector.toml", []byte(text), &c)
	if doc == nil {
		return err
	}
	return errors.Join(err, c.Validate(doc))
}

func agentFile() File {
	f := ofExample("agent.toml", "nabz-agent", agent.Example, reflect.TypeFor[agent.Config](), func(key, value string) error {
		return agentSays(conf.Set("site = \"gokina\"\n", key, value))
	})
	metered := map[string]string{}
	for _, e := range read(agent.ExampleOf(agent.Metered)).keys {
		metered[e.key] = e.value
	}
	for _, s := range f.Sections {
		for i, k := range s.Keys {
			if metered[k.Name] != k.Default && k.Name != "profile" {
				s.Keys[i].Metered = metered[k.Name]
			}
		}
	}
	return f
}

func collectorFile() File {
	return ofExample("collector.toml", "nabz-collector", collector.Example, reflect.TypeFor[collector.Config](), func(key, value string) error {
		return collectorSays(conf.Set("[agents]\nlisten = \"127.0.0.1:8443\"\n", key, value))
	})
}

// lower is how a comment says that one key bounds another: "detail_every" to 1h.
var lower = regexp.MustCompile(`"([a-z_]+)" to (\S+?)[.,; ]`)

// ofExample makes a file of its commented example.
func ofExample(name, whose, text string, t reflect.Type, says func(key, value string) error) File {
	kind, e := map[string]string{}, read(text)
	kinds("", t, kind)
	f := File{Name: name, Whose: whose, About: []string{sentences(e.before)}}
	for _, one := range e.keys {
		section := ""
		if i := strings.LastIndexByte(one.key, '.'); i >= 0 {
			section = one.key[:i]
		}
		if n := len(f.Sections); n == 0 || f.Sections[n-1].Name != section {
			f.Sections = append(f.Sections, Section{Name: section})
			if section != "" {
				f.Sections[n].About = sentences(e.about[section])
			}
		}
		k := Key{Name: one.key, Kind: kind[one.key], About: sentences(one.comment), Default: one.value}
		k.refuses = func(value string) string { return about(says(k.Name, value), k.Name) }
		k.Takes = provoke(k.Kind, k.refuses)
		if m := lower.FindStringSubmatch(one.comment); m != nil && m[2] == k.Takes.High {
			k.Takes.LowKey = m[1]
		}
		s := &f.Sections[len(f.Sections)-1]
		s.Keys = append(s.Keys, k)
	}
	return f
}

// many makes a section that may be there any number of times of a struct and its comments. Base is what one needs at least, by key.
func many(root, file, structure, section string, t reflect.Type, says func(text string) error, base map[string]string) (Section, error) {
	said, order, err := comments(filepath.Join(root, file), structure)
	kind := map[string]string{}
	kinds("", t, kind)
	s := Section{Name: section, Many: true}
	for _, name := range order {
		if kind[name] == "" {
			continue
		}
		k := Key{Name: section + "." + name, Kind: kind[name], About: said[name]}
		k.refuses = func(value string) string {
			text := "[[" + section + "]]\n" + name + " = " + value + "\n"
			for key, v := range base {
				if key != name {
					text += key + " = " + v + "\n"
				}
			}
			return about(says(text), section+"[0]."+name)
		}
		k.Takes = provoke(k.Kind, k.refuses)
		s.Keys = append(s.Keys, k)
	}
	return s, err
}
