package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/telemetry"
)

type agentCommand struct {
	Add    agentAdd    `cmd:"" help:"Let new agents enrol."`
	List   agentList   `cmd:"" help:"Print the agents."`
	Rotate agentRotate `cmd:"" help:"Let agents enrol anew, with another secret."`
	Revoke agentRevoke `cmd:"" help:"Let agents sign in no longer."`
	Ask    agentAsk    `cmd:"" help:"Ask an agent that is connected for a speed test or diagnostics."`
}

type agentAdd struct {
	Addresses []string `arg:"" name:"address" optional:"" placeholder:"SITE/AGENT" help:"The agents, as site/agent."`
	EverySite bool     `name:"every-site" help:"Add an agent main at each site that has none."`
	Secret    bool     `help:"Print a secret that is good at once, for an agent that is configured by hand, instead of a token to enrol with."`
	fileFlag
}

// do prints tokens or secrets alone on stdout, and all else on stderr.
func (a *agentAdd) do(stdout, stderr io.Writer) error {
	r, c, err := a.open()
	if err != nil {
		return err
	}
	addresses, err := addressesOf(r, c, a.Addresses)
	if err != nil {
		return err
	}
	if a.EverySite {
		has := map[string]bool{}
		for _, known := range r.Agents() {
			has[known.Site] = true
		}
		for _, s := range r.Sites() {
			if !has[s.ID] {
				addresses = append(addresses, telemetry.Address{Site: s.ID, Agent: "main"})
			}
		}
		if len(addresses) == 0 {
			_, err := fmt.Fprintln(stderr, "every site has an agent already")
			return err
		}
	}
	if len(addresses) == 0 {
		return command.Usage(errors.New("name an agent, as site/agent, or give --every-site"))
	}
	if a.Secret {
		return recorded(c, "agent add", names(addresses), "a secret", addSecrets(r, c, addresses, stdout, stderr))
	}
	return recorded(c, "agent add", names(addresses), "a token", invite(r, c, addresses, false, stdout, stderr))
}

// names is what the audit log says of them.
func names(addresses []telemetry.Address) string {
	all := make([]string, len(addresses))
	for i, a := range addresses {
		all[i] = a.String()
	}
	return strings.Join(all, " ")
}

// addressesOf reads addresses; their sites have to be known.
func addressesOf(r *fleet.Registry, c collector.Config, texts []string) ([]telemetry.Address, error) {
	var all []telemetry.Address
	var faults []error
	for _, text := range texts {
		address, err := telemetry.ParseAddress(text)
		if err == nil {
			if _, ok := r.Site(address.Site); !ok {
				err = fmt.Errorf("site %q is not in %s; check the spelling, or add it: nabz-collector site add %s", address.Site, c.SitesFile, address.Site)
			}
		}
		faults, all = append(faults, err), append(all, address)
	}
	return all, errors.Join(faults...)
}

// addSecrets is for agents that are configured by hand.
func addSecrets(r *fleet.Registry, c collector.Config, addresses []telemetry.Address, stdout, stderr io.Writer) error {
	for _, address := range addresses {
		secret, err := r.AddAgent(address)
		if err != nil {
			return err
		}
		if err := printFor(stdout, addresses, address, secret); err != nil {
			return fmt.Errorf("the secret of %s was made but could not be printed: %w; make another: nabz-collector agent rotate %s", address, err, address)
		}
		if _, err = fmt.Fprintf(stderr, "agent %s may sign in; its secret is shown this once, and only its hash is kept in %s\n"+
			"next: put the secret on the router as /etc/nabz/secret, readable for root alone, and set site = %q and agent = %q in its agent.toml\n",
			address, c.AgentsFile, address.Site, address.Agent); err != nil {
			return err
		}
	}
	return nil
}

// invite prints a token for each agent. Nothing is printed unless all are invited.
func invite(r *fleet.Registry, c collector.Config, addresses []telemetry.Address, anew bool, stdout, stderr io.Writer) error {
	if c.Agents.URL == "" {
		return errors.New("agents.url is not set, so no router knows where to enrol; nabz-collector init sets it up, and agent add --secret makes a secret to be carried by hand")
	}
	if err := c.Validate(nil); err != nil {
		return err
	}
	var ca [32]byte
	if c.Agents.CAFile != "" {
		var err error
		if ca, _, err = authority.Fingerprint(c.Agents.CAFile); err != nil {
			return fmt.Errorf("agents.ca_file: %w", err)
		}
	}
	until := time.Now().Add(c.Agents.TokenLife.Std())
	var all []telemetry.Enrolment
	for _, address := range addresses {
		e, err := telemetry.NewEnrolment(address, c.Agents.URL, ca)
		if err != nil {
			return err
		}
		all = append(all, e)
	}
	if err := r.Invite(all, until, anew); err != nil {
		return err
	}
	for _, e := range all {
		if err := printFor(stdout, addresses, e.Address, e.String()); err != nil {
			return fmt.Errorf("tokens were made but could not be printed: %w; the same command makes others", err)
		}
	}
	_, err := fmt.Fprintf(stderr, "good once, until %s; only its hash is kept in %s\nnext, on the router: nabz-agent enroll TOKEN\n", until.Format("2006-01-02 15:04 MST"), c.AgentsFile)
	return err
}

// printFor prints what is one agent's: alone where there is one, ready for a file; behind its name and a tab where there are several.
func printFor(w io.Writer, all []telemetry.Address, a telemetry.Address, text string) error {
	if len(all) > 1 {
		text = a.String() + "\t" + text
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

type agentRotate struct {
	Addresses []string `arg:"" name:"address" placeholder:"SITE/AGENT" help:"The agents, as site/agent."`
	fileFlag
}

func (a *agentRotate) do(stdout, stderr io.Writer) error {
	r, c, err := a.open()
	if err != nil {
		return err
	}
	addresses, err := addressesOf(r, c, a.Addresses)
	if err != nil {
		return err
	}
	if err := recorded(c, "agent rotate", names(addresses), "", invite(r, c, addresses, true, stdout, stderr)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stderr, "until then the agent goes on with the secret that it has; agent revoke takes that away at once")
	return err
}

type agentRevoke struct {
	Addresses []string `arg:"" name:"address" placeholder:"SITE/AGENT" help:"The agents, as site/agent."`
	fileFlag
}

func (a *agentRevoke) do(stderr io.Writer) error {
	r, c, err := a.open()
	if err != nil {
		return err
	}
	var faults []error
	for _, text := range a.Addresses {
		address, err := telemetry.ParseAddress(text)
		if err == nil {
			err = recorded(c, "agent revoke", address.String(), "", r.Revoke(address, time.Now()))
		}
		if err == nil {
			_, err = fmt.Fprintf(stderr, "agent %s is revoked; a collector that runs ends its connection within a second\n", address)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

type agentList struct {
	JSON bool `name:"json" help:"Print JSON."`
	fileFlag
}

func (a *agentList) do(stdout io.Writer) error {
	r, _, err := a.open()
	if err != nil {
		return err
	}
	now := time.Now()
	type row struct {
		Address    string     `json:"address"`
		State      string     `json:"state"`
		TokenUntil *time.Time `json:"token_until,omitempty"`
		Revoked    *time.Time `json:"revoked,omitempty"`
	}
	rows := []row{}
	for _, k := range r.Credentials() {
		one := row{Address: k.Address.String()}
		switch {
		case !k.Revoked.IsZero():
			one.State, one.Revoked = "revoked", &k.Revoked
		case k.Enrolled:
			one.State = "enrolled"
		case k.Until.Before(now):
			one.State = "token has expired"
		default:
			one.State = "waits to enrol"
		}
		if k.Until.After(now) {
			one.TokenUntil = &k.Until
		}
		rows = append(rows, one)
	}
	if a.JSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, one := range rows {
		text := one.State
		if one.TokenUntil != nil {
			text += ", token until " + one.TokenUntil.Local().Format("2006-01-02 15:04")
		}
		if one.Revoked != nil {
			text += " " + one.Revoked.Local().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\n", one.Address, text)
	}
	return w.Flush()
}
