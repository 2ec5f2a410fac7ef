package meeting

import (
	"strings"
	"testing"
)

func TestNewIDReadsBack(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if len(id) != idSigns+idSigns/idGroup-1 {
			t.Fatalf("id %q has %d signs", id, len(id))
		}
		if seen[id] {
			t.Fatalf("id %q came twice", id)
		}
		seen[id] = true
		for _, typed := range []string{id, strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), strings.ReplaceAll(id, "-", " "),
			strings.ReplaceAll(strings.ReplaceAll(id, "0", "O"), "1", "l")} {
			if got := parseID(typed); got != id {
				t.Fatalf("parseID(%q) = %q, want %q", typed, got, id)
			}
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", "k3xq-9mtb-r2vd-h7cw-p4na", "k3xq-9mtb-r2vd-h7cw-p4n", "k3xq-9mtb-r2vd-h7cw-p4na2", "ö", "' OR 1=1 --", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		id := parseID(typed)
		if id == "" {
			return
		}
		if parseID(id) != id || strings.Trim(id, idAlphabet+"-") != "" {
			t.Errorf("parseID(%q) = %q, which is no id", typed, id)
		}
	})
}

func TestPersonOf(t *testing.T) {
	if got := personOf(identityOf("0190-abc", "tab1")); got != "0190-abc" {
		t.Errorf("personOf = %q", got)
	}
	if got := personOf("operator-made"); got != "" {
		t.Errorf("personOf of a foreign identity = %q, want none", got)
	}
}
