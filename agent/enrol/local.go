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
func (p *files) readLocal(o Options, a telemetry.Address) error {
	name := agent.LocalFile(p.config)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return unwritten("read", name, err)
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
		if doc.Has("secret_file") && o.SecretFile != "" && p.c.SecretFile != o.SecretFile {
			err = errors.Join(err, doc.Faultf("secret_file", "%q wins over %q, with which this is to enrol; delete it", p.c.SecretFile, o.SecretFile))
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
	if ca && c.CAFile != p.ca {
		err = errors.Join(err, doc.Faultf("ca_file", "%q wins over %q, with which this is to enrol; delete it", c.CAFile, p.ca))
	}
	if err != nil {
		return fmt.Errorf("%w\nnothing was written; mend %s, then run this again", err, p.local[0].File)
	}
	return nil
}
