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
// web/package.json and web/e2e/sdk/package.json require themselves.
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
	web, sdks := readPackage(t, "../web/package.json"), readPackage(t, "../web/e2e/sdk/package.json")
	for _, m := range []map[string]string{web.Dependencies, web.DevDependencies, sdks.DevDependencies} {
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

// TestDeclaredSDKs holds the range that the protocol's document declares to the
// SDKs that the contract test runs.
func TestDeclaredSDKs(t *testing.T) {
	doc, spec := readFile(t, "../docs/protocols/meeting.md"), readFile(t, "../web/e2e/outside.ts")
	sdks := readPackage(t, "../web/e2e/sdk/package.json").DevDependencies
	if len(sdks) < 3 {
		t.Fatalf("only %v are tested; two newest minors and one a year older are to be", sdks)
	}
	for name, published := range sdks {
		version := strings.TrimPrefix(published, "npm:livekit-client@")
		if !strings.Contains(doc, version) {
			t.Errorf("docs/protocols/meeting.md does not name livekit-client %s, which web/e2e/sdk installs", version)
		}
		if !strings.Contains(spec, `version: "`+version+`", folder: "`+name+`"`) {
			t.Errorf("web/e2e/outside.ts, whose list meeting-sdk.spec.ts runs, does not have livekit-client %s of %s", version, name)
		}
	}
}

type npmPackage struct{ Dependencies, DevDependencies map[string]string }

func readPackage(t *testing.T, name string) npmPackage {
	t.Helper()
	var p npmPackage
	if err := json.Unmarshal([]byte(readFile(t, name)), &p); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
