package housetest

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

var majorVersion = regexp.MustCompile(`/v[0-9]+$`)

// TestDependenciesAreExplained holds docs/dependencies.md to what go.mod and
// web/package.json require themselves.
func TestDependenciesAreExplained(t *testing.T) {
	doc := readFile(t, "../docs/dependencies.md")
	var names []string
	for line := range strings.SplitSeq(readFile(t, "../go.mod"), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(line, "\t") {
			continue // indirect ones have a comment behind them
		}
		names = append(names, strings.TrimPrefix(majorVersion.ReplaceAllString(fields[0], ""), "github.com/"))
	}
	direct := len(names)
	var web struct{ Dependencies, DevDependencies map[string]string }
	if err := json.Unmarshal([]byte(readFile(t, "../web/package.json")), &web); err != nil {
		t.Fatal(err)
	}
	for _, m := range []map[string]string{web.Dependencies, web.DevDependencies} {
		for name := range m {
			names = append(names, name)
		}
	}
	if direct < 20 || len(names) < direct+20 {
		t.Fatalf("only %v were found", names)
	}
	// A name stands alone, so that react does not count for react-dom.
	for _, name := range names {
		if !regexp.MustCompile(`(^|[ ,|])` + regexp.QuoteMeta(name) + `($|[ ,|])`).MatchString(doc) {
			t.Errorf("docs/dependencies.md does not say what %s is for, its licence and why it", name)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
