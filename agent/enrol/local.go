package enrol

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
)

// readLocal reads the second file, which may say where this router wants its files, and not whose agent it is.
func (p *files) readLocal(a telemetry.Address) error {
	name := agent.LocalFile(p.config)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		p.local = []conf.Source{{File: name, Data: data}}
		var doc *conf.Doc
		p.c, doc, err = agent.ParseAll("", p.local...)
		if doc.Has("site") && p.c.Site != a.Site {
			err = errors.Join(err, doc.Faultf("site", "%q wins over %q, for which the token is; delete it", p.c.Site, a.Site))
		}
		if doc.Has("agent") && p.c.Agent != a.Agent {
			err = errors.Join(err, doc.Faultf("agent", "%q wins over %q, for which the token is; delete it", p.c.Agent, a.Agent))
		}
	}
	if err != nil {
		return fmt.Errorf("%w\nnothing was asked or written; mend %s, then run this again", err, name)
	}
	return nil
}

// wins looks whether the second file lets the agent run with what it is enrolled with.
func (p *files) wins(text string, ca bool) error {
	if p.local == nil {
		return nil
	}
	c, doc, err := agent.ParseAll("", append([]conf.Source{{File: p.config, Data: []byte(text)}}, p.local...)...)
	if err == nil {
		err = c.Validate(doc)
	}
	for _, k := range []struct{ key, got, want string }{{"secret_file", c.SecretFile, p.c.SecretFile}, {"ca_file", c.CAFile, p.ca}} {
		if k.got != k.want && (ca || k.key != "ca_file") {
			err = errors.Join(err, doc.Faultf(k.key, "%q wins over %q, with which this is to enrol; delete it", k.got, k.want))
		}
	}
	if err != nil {
		return fmt.Errorf("%w\nnothing was written; mend %s, then run this again", err, p.local[0].File)
	}
	return nil
}
