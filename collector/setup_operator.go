package collector

import (
	"fmt"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/people"
)

// operator makes the first user of the board, where there is none yet. The password is told this once.
func (s *Setup) operator(c Config) error {
	p, err := people.Open(c.Users())
	if err != nil {
		return err
	}
	if n := len(p.Users()); n > 0 {
		_, err := fmt.Fprintf(s.Out, "kept  %s, the users of the board: %d\n", c.Users(), n)
		return err
	}
	if s.Operator == "" {
		_, err := fmt.Fprintln(s.Out, "later nabz-collector user add NAME --role operator lets the first user sign in at the board")
		return err
	}
	password := people.Generate()
	if err := p.Add(s.Operator, people.Operator, password); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.Out, "made  user %s, operator of the board; the password is shown this once: %s\n", s.Operator, password); err != nil {
		return err
	}
	return Audit(c).Record(audit.Entry{Who: s.Typist, From: "command line", What: "user add", On: s.Operator, Outcome: audit.Done, Detail: "as operator, by init"})
}
