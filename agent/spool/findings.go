package spool

import (
	"errors"
	"syscall"
)

// Kind names what the spool found, in the words of an event's kind.
type Kind string

// What the spool can find.
const (
	Corrupt    Kind = "spool_corrupt"       // damaged records were skipped, or counters lost
	Torn       Kind = "spool_torn"          // the end of a file was cut off: a write that power had not let finish
	Newer      Kind = "spool_newer_version" // files of a newer program were set aside
	ReadOnly   Kind = "spool_read_only"     // the folder has become read-only
	DiskFull   Kind = "spool_disk_full"     // the file system is full
	DiskError  Kind = "spool_disk_error"    // the device answers with errors
	RAMOnly    Kind = "spool_ram_only"      // there is no folder to work with; what waits is lost with the power
	WorksAgain Kind = "spool_works_again"   // a fault has ended
)

// Finding is something about the spool that a person may want to know.
type Finding struct {
	Kind   Kind
	Detail string // one sentence, with what to do next
}

// Findings returns what was found since it was asked last, oldest first and at most one of each kind: a fault once when it begins and
// once when it ends. Each is in the log already.
func (s *Spool) Findings() []Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.findings
	s.findings = nil
	return out
}

// tell notes a finding; one of the same kind that nobody has asked for yet is replaced.
func (s *Spool) tell(k Kind, detail string) {
	log := s.log.Warn
	if k == WorksAgain {
		log = s.log.Info
	}
	log("spool", "kind", string(k), "detail", detail)
	for i, f := range s.findings {
		if f.Kind == k {
			s.findings = append(s.findings[:i], s.findings[i+1:]...)
			break
		}
	}
	s.findings = append(s.findings, Finding{k, detail})
}

// fault notes what is wrong with the folder, once for each thing that is.
func (s *Spool) fault(err error) {
	k := faultOf(err)
	if s.faulty == k {
		return
	}
	s.faulty = k
	where := "; what is new is refused"
	if s.o.OrRAM {
		where = "; what is new waits in RAM"
	}
	s.tell(k, err.Error()+"; "+k.advice()+where)
}

// works notes that the folder takes writes again.
func (s *Spool) works() {
	if s.faulty == "" {
		return
	}
	s.tell(WorksAgain, "the folder takes batches again after "+string(s.faulty))
	s.faulty = ""
}

func faultOf(err error) Kind {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return DiskFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ReadOnly
	}
	return DiskError
}

// advice says what to do next.
func (k Kind) advice() string {
	switch k {
	case DiskFull:
		return "free space on the file system or lower spool_max_bytes"
	case ReadOnly:
		return "mount the file system writable, or set data_dir to a folder that the agent may write to"
	}
	return "check the flash and its file system, or set data_dir to another folder"
}
