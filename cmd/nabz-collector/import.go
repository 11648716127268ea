package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/sheet"
	"github.com/smartvillage/nabz/collector/survey"
	"github.com/smartvillage/nabz/internal/command"
)

type siteImport struct {
	File     string            `arg:"" help:"The spreadsheet, CSV or XLSX."`
	DryRun   bool              `name:"dry-run" help:"Show what would be added and changed, and write nothing."`
	Update   bool              `help:"Take what the table says of sites that are there and differ."`
	Sheet    string            `placeholder:"NAME" help:"The sheet of a workbook. Default: the first."`
	Map      map[string]string `placeholder:"HEADER=KEY" mapsep:"none" help:"Which value a column has, where its header does not tell: --map 'Village Code=id'. May be repeated."`
	IDFrom   string            `name:"id-from" placeholder:"name|id" help:"Make ids of the names, or of ids with other signs: \"Aït Ben\" becomes ait-ben."`
	TimeZone string            `name:"time-zone" placeholder:"ZONE" help:"Time zone of new sites whose row has none, such as Asia/Karachi."`
	fileFlag
}

// listed is how many new sites a dry run shows.
const listed = 20

func (s *siteImport) do(stdout, stderr io.Writer) error {
	o := survey.Options{Map: s.Map, IDFrom: s.IDFrom, TimeZone: s.TimeZone}
	if err := o.Check(); err != nil {
		return command.Usage(err)
	}
	r, c, err := s.open()
	if err != nil {
		return err
	}
	table, err := s.read(o, stderr)
	if err != nil {
		return err
	}
	var p survey.Plan
	plan := func(now []fleet.Site) (add, update []fleet.Site, err error) {
		if p, err = table.Plan(now, s.Update); err != nil {
			err = s.nothing(err)
		}
		return p.Add, p.Update, err
	}
	if s.DryRun {
		_, _, err = plan(r.Sites())
	} else {
		err = r.ChangeSites(plan)
	}
	if err != nil {
		return err
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(stderr, "warning: %s\n", w)
	}
	if err := s.show(stdout, &p); err != nil {
		return err
	}
	sum := fmt.Sprintf("%d added, %d updated, %d unchanged", len(p.Add), len(p.Update), p.Unchanged)
	if s.DryRun {
		_, err = fmt.Fprintf(stdout, "dry run, nothing is written: %s\n", sum)
	} else {
		_, err = fmt.Fprintf(stdout, "%s in %s\n", sum, c.SitesFile)
	}
	return err
}

// read reads the table and says what was made of its columns.
func (s *siteImport) read(o survey.Options, stderr io.Writer) (*survey.Survey, error) {
	f, err := sheet.Open(s.File, s.Sheet)
	if err != nil {
		return nil, err
	}
	o.Workbook = f.Workbook
	table, err := survey.Read(f.Rows(), o)
	closed := f.Close()
	for _, n := range f.Notes {
		fmt.Fprintf(stderr, "note: %s: %s\n", s.File, n)
	}
	if err != nil {
		return nil, s.nothing(err)
	}
	if closed != nil {
		return nil, closed
	}
	var columns []string
	for _, c := range table.Columns {
		columns = append(columns, c.String())
	}
	fmt.Fprintf(stderr, "headers in row %d: %s\n", table.HeaderRow, strings.Join(columns, ", "))
	if len(table.LeftOut) > 0 {
		fmt.Fprintf(stderr, "left out: %s\n", strings.Join(table.LeftOut, ", "))
	}
	return table, nil
}

// nothing puts the name of the file to each fault, and says that none of its rows was taken.
func (s *siteImport) nothing(err error) error {
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		faults = joined.Unwrap()
	}
	for i, f := range faults {
		faults[i] = fmt.Errorf("%s: %w", s.File, f)
	}
	what := "1 fault"
	if n := len(faults); n > 1 {
		what = fmt.Sprintf("%d faults", n)
	}
	return errors.Join(append(faults, fmt.Errorf("nothing is imported, because of %s; mend the spreadsheet and import it again", what))...)
}

// show prints changes field by field, and in a dry run the first of the new sites too.
func (s *siteImport) show(stdout io.Writer, p *survey.Plan) error {
	if len(p.Changes) == 0 && (!s.DryRun || len(p.Add) == 0) {
		return nil
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SITE\tCHANGE\tWHAT")
	for i, site := range p.Add {
		if !s.DryRun || i == listed {
			break
		}
		fmt.Fprintf(t, "%s\tadd\t%s\n", site.ID, inShort(site))
	}
	if more := len(p.Add) - listed; s.DryRun && more > 0 {
		fmt.Fprintf(t, "…\tadd\tand %d more\n", more)
	}
	for _, c := range p.Changes {
		for i, field := range c.Fields {
			name, what := c.Site, "update"
			if i > 0 {
				name, what = "", ""
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", name, what, field)
		}
	}
	return t.Flush()
}

// inShort is what is known of a new site, on a line.
func inShort(s fleet.Site) string {
	var parts []string
	for _, f := range s.Fields()[1:] {
		switch text := fmt.Sprint(f.Value); {
		case f.Key == "longitude" || text == "" || f.Key != "latitude" && text == "0":
		case f.Key == "latitude" && s.Located():
			parts = append(parts, fmt.Sprintf("%v %v", s.Latitude, s.Longitude))
		case f.Key == "latitude":
		case f.Key == "population":
			parts = append(parts, text+" people")
		case f.Key == "students":
			parts = append(parts, text+" students")
		case f.Key == "upstream":
			parts = append(parts, "behind "+cell(text))
		case f.Key == "data_budget_mb":
			parts = append(parts, text+" MB a month")
		case f.Key == "target_down_mbps":
			parts = append(parts, text+" Mbit/s down")
		case f.Key == "target_up_mbps":
			parts = append(parts, text+" Mbit/s up")
		default:
			parts = append(parts, cell(text))
		}
	}
	return strings.Join(parts, ", ")
}
