package main

import (
	"fmt"
	"io"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/fleet"
)

// open reads the configuration and the two files that it names.
func (f *fileFlag) open() (*fleet.Registry, collector.Config, error) {
	c, _, err := f.read()
	if err != nil {
		return nil, c, err
	}
	r, err := fleet.OpenRegistry(c.SitesFile, c.AgentsFile)
	return r, c, err
}

type siteAdd struct {
	ID         string  `arg:"" help:"Id of the site: a-z, 0-9 and \"-\"."`
	Name       string  `placeholder:"NAME" help:"Its name for people."`
	District   string  `placeholder:"NAME" help:"Where it is."`
	Operator   string  `placeholder:"NAME" help:"Who runs its link."`
	Upstream   string  `placeholder:"NAME" help:"What it hangs on and fails with, such as a tower."`
	Technology string  `placeholder:"NAME" help:"Kind of link: fibre, 4G, VSAT."`
	Latitude   float64 `placeholder:"DEGREES" help:"North of the equator, -90 to 90."`
	Longitude  float64 `placeholder:"DEGREES" help:"East of Greenwich, -180 to 180."`
	Population int     `placeholder:"N" help:"People served."`
	Students   int     `placeholder:"N" help:"Of the school that it serves."`
	Hours      string  `name:"service-hours" placeholder:"HOURS" help:"When it is used, such as \"Mo-Fr 08:00-16:00\"."`
	TargetDown float64 `name:"target-down" placeholder:"MBITS" help:"Contracted download, Mbit/s."`
	TargetUp   float64 `name:"target-up" placeholder:"MBITS" help:"Contracted upload, Mbit/s."`
	DataBudget int     `name:"data-budget" placeholder:"MB" help:"What each agent may use in a month."`
	TimeZone   string  `name:"time-zone" placeholder:"ZONE" help:"IANA name, such as Asia/Karachi. Default: UTC."`
	fileFlag
}

func (s *siteAdd) do(stderr io.Writer) error {
	r, c, err := s.open()
	if err != nil {
		return err
	}
	if err := r.AddSite(fleet.Site{ID: s.ID, Name: s.Name, District: s.District, Operator: s.Operator, Upstream: s.Upstream, Technology: s.Technology,
		Latitude: s.Latitude, Longitude: s.Longitude, Population: s.Population, Students: s.Students, ServiceHours: s.Hours,
		TargetDownMbps: s.TargetDown, TargetUpMbps: s.TargetUp, DataBudgetMB: s.DataBudget, TimeZone: s.TimeZone}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "site %s is in %s\nnext: nabz-collector agent add %s/main\n", s.ID, c.SitesFile, s.ID)
	return err
}
