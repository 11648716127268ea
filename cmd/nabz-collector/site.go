package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

type siteCommand struct {
	Add    siteAdd    `cmd:"" help:"Write a new site."`
	Import siteImport `cmd:"" help:"Take in a spreadsheet of sites."`
	List   siteList   `cmd:"" help:"Print the sites."`
	Show   siteShow   `cmd:"" help:"Print one site."`
	Remove siteRemove `cmd:"" help:"Take a site out."`
}

// siteAndAgents is a site as --json prints it.
type siteAndAgents struct {
	fleet.Site
	Agents []string `json:"agents"`
}

// withAgents puts to each site the names of its agents.
func withAgents(sites []fleet.Site, agents []telemetry.Address) []siteAndAgents {
	of := map[string][]string{}
	for _, a := range agents {
		of[a.Site] = append(of[a.Site], a.Agent)
	}
	out := make([]siteAndAgents, len(sites))
	for i, s := range sites {
		out[i] = siteAndAgents{s, append([]string{}, of[s.ID]...)}
	}
	return out
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

type siteList struct {
	JSON bool `name:"json" help:"Print JSON, with all that is known."`
	fileFlag
}

func (s *siteList) do(stdout io.Writer) error {
	r, c, err := s.open()
	if err != nil {
		return err
	}
	sites := withAgents(r.Sites(), r.Agents())
	if s.JSON {
		return printJSON(stdout, sites)
	}
	if len(sites) == 0 {
		_, err := fmt.Fprintf(stdout, "no site is in %s; add one with nabz-collector site add, or many with site import\n", c.SitesFile)
		return err
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tDISTRICT\tOPERATOR\tTECHNOLOGY\tAGENTS")
	for _, s := range sites {
		agents := strings.Join(s.Agents, " ")
		if agents == "" {
			agents = "none"
		}
		fmt.Fprintln(t, strings.Join([]string{s.ID, cell(s.Name), cell(s.District), cell(s.Operator), cell(s.Technology), agents}, "\t"))
	}
	return t.Flush()
}

// cell is a text of a table: "–" where there is none, and nothing in it that would break the table.
func cell(text string) string {
	if text == "" {
		return "–"
	}
	return strings.Join(strings.Fields(text), " ")
}

type siteShow struct {
	ID   string `arg:"" placeholder:"SITE" help:"Id of the site."`
	JSON bool   `name:"json" help:"Print JSON, with all that is known."`
	fileFlag
}

func (s *siteShow) do(stdout io.Writer) error {
	r, c, err := s.open()
	if err != nil {
		return err
	}
	site, ok := r.Site(s.ID)
	if !ok {
		return fmt.Errorf("site %q is not in %s; list what is there: nabz-collector site list", s.ID, c.SitesFile)
	}
	all := withAgents([]fleet.Site{site}, r.Agents())[0]
	if s.JSON {
		return printJSON(stdout, all)
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, f := range site.Fields() {
		text := fmt.Sprint(f.Value)
		place := f.Key == "latitude" || f.Key == "longitude"
		switch {
		case f.Key == "time_zone" && text == "":
			text = "UTC"
		case place && !site.Located() || !place && (text == "" || text == "0"):
			text = "–"
		case strings.HasPrefix(f.Key, "target_"):
			text += " Mbit/s"
		}
		fmt.Fprintf(t, "%s\t%s\n", strings.ReplaceAll(strings.TrimSuffix(f.Key, "_mbps"), "_", " "), cell(text))
	}
	fmt.Fprintf(t, "agents\t%s\n", cell(strings.Join(all.Agents, " ")))
	return t.Flush()
}

type siteRemove struct {
	ID string `arg:"" placeholder:"SITE" help:"Id of the site."`
	fileFlag
}

func (s *siteRemove) do(stderr io.Writer) error {
	r, c, err := s.open()
	if err != nil {
		return err
	}
	if err := r.RemoveSite(s.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "site %s is no longer in %s; what it reported stays in InfluxDB\n", s.ID, c.SitesFile)
	return err
}
