package command

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Release is the version that this tree becomes, as semantic versioning has it. CHANGELOG.md says what is in it; packages bear it.
const Release = "0.7.0"

// Version is the release and the commit that was built, in the form of semantic versioning: "0.7.0+161f83ad0c1f", "0.7.0+161f83ad0c1f.changed"
// where files differed from it, "0.7.0" where it is not known.
func Version() string { return stampOf(debug.ReadBuildInfo()).short() }

// About is what --version prints: "nabz-agent 0.7.0 (161f83ad0c1f, 2026-11-28, go1.26.8, linux/mipsle)".
func About(name string) string { return stampOf(debug.ReadBuildInfo()).long(name) }

// stamp is what the build knows of itself. Commit and date are "" where it does not.
type stamp struct {
	commit, date string
	changed      bool // files differed from the commit
}

// stampOf reads what go build has written into the program.
func stampOf(info *debug.BuildInfo, ok bool) stamp {
	var s stamp
	if !ok {
		return s
	}
	for _, set := range info.Settings {
		switch set.Key {
		case "vcs.revision":
			s.commit = set.Value[:min(12, len(set.Value))]
		case "vcs.time":
			s.date, _, _ = strings.Cut(set.Value, "T")
		case "vcs.modified":
			s.changed = set.Value == "true"
		}
	}
	return s
}

func (s stamp) short() string {
	switch {
	case s.commit == "":
		return Release
	case s.changed:
		return Release + "+" + s.commit + ".changed"
	}
	return Release + "+" + s.commit
}

func (s stamp) long(name string) string {
	what := []string{"commit unknown"}
	if s.commit != "" {
		what[0] = s.commit
		if s.changed {
			what[0] += " changed"
		}
		if s.date != "" {
			what = append(what, s.date)
		}
	}
	what = append(what, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return name + " " + Release + " (" + strings.Join(what, ", ") + ")"
}
