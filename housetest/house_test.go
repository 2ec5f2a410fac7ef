// Package housetest holds the rules of the house as tests: who may import
// whom, package comments, names and sizes of files. It knows the tree, not the
// program.
package housetest

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "commsd"

// rule says what the packages under a folder may import: of our own packages
// those under own, of others those under foreign (nil: any), none under never.
type rule struct {
	folder  string
	own     []string
	foreign []string // prefixes; the standard library is always allowed
	never   []string // prefixes, the standard library's included
}

// rules is the import table of the architecture, most specific folder first.
var rules = []rule{
	{folder: "cmd/commsd", own: []string{""}},
	{folder: "app", own: []string{""}},
	{folder: "housetest", own: []string{}},
	{folder: "meeting", own: []string{"meeting", "identity", "audit", "internal"}},
	{folder: "chat", own: []string{"chat", "identity", "audit", "internal"}},
	{folder: "mail", own: []string{"mail", "identity", "audit", "internal"}},
	{folder: "documents", own: []string{"documents", "identity", "audit", "internal"}},
	{folder: "directory", own: []string{"directory", "identity", "audit", "internal"}},
	{folder: "signaling", own: []string{"signaling", "sfu", "identity", "audit", "internal"}},
	{folder: "audit", own: []string{"audit", "identity", "internal"}},
	{folder: "identity", own: []string{}, foreign: []string{}},
	{
		folder: "sfu", own: []string{"sfu", "internal/errcode"},
		foreign: []string{"github.com/pion/", "golang.org/x/sys/", "github.com/prometheus/"},
		never:   []string{"net/http", "database/sql"},
	},
	{folder: "web", own: []string{}, foreign: []string{}},
	{folder: "internal", own: []string{"internal", "identity"}},
	{folder: "bench", own: []string{""}},
}

func TestImports(t *testing.T) {
	checked := 0
	eachGoFile(t, func(name string, file *ast.File, test bool) {
		if test {
			return // tests may reach for engines and peers
		}
		r, ok := ruleOf(path.Dir(name))
		if !ok {
			t.Errorf("%s: its folder has no line in the import table", name)
			return
		}
		checked++
		for _, spec := range file.Imports {
			if why := r.refuses(strings.Trim(spec.Path.Value, `"`)); why != "" {
				t.Errorf("%s imports %s: %s", name, spec.Path.Value, why)
			}
		}
	})
	if checked == 0 {
		t.Fatal("no file was checked")
	}
}

// TestRulesRefuse shows that the table can fail.
func TestRulesRefuse(t *testing.T) {
	for _, c := range []struct{ folder, path string }{
		{"chat", "commsd/mail"},
		{"internal/bus", "commsd/chat"},
		{"identity", "github.com/google/uuid"},
		{"sfu", "net/http"},
		{"sfu", "github.com/gorilla/websocket"},
		{"sfu/ring", "commsd/internal/sqldb"},
		{"web", "commsd/identity"},
		{"directory", "commsd/app"},
	} {
		r, ok := ruleOf(c.folder)
		if !ok || r.refuses(c.path) == "" {
			t.Errorf("%s may import %s", c.folder, c.path)
		}
	}
}

func ruleOf(folder string) (rule, bool) {
	for _, r := range rules {
		if under(folder, r.folder) {
			return r, true
		}
	}
	return rule{}, false
}

func (r rule) refuses(imported string) string {
	for _, n := range r.never {
		if under(imported, n) {
			return "never here"
		}
	}
	if imported == module || strings.HasPrefix(imported, module+"/") {
		ours := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
		for _, o := range r.own {
			if o == "" || under(ours, o) {
				return ""
			}
		}
		return "not in the import table for " + r.folder
	}
	if r.foreign == nil || standard(imported) {
		return ""
	}
	for _, f := range r.foreign {
		if strings.HasPrefix(imported+"/", f) {
			return ""
		}
	}
	return "not in the import table for " + r.folder
}

func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func under(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func TestPackageComments(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]bool{}
	eachGoFile(t, func(name string, file *ast.File, test bool) {
		if test {
			return
		}
		folder := path.Dir(name)
		seen[folder] = true
		if file.Doc != nil && len(strings.Fields(file.Doc.Text())) >= 8 {
			documented[folder] = true
		}
	})
	for folder := range seen {
		if !documented[folder] {
			t.Errorf("%s: no package comment that says what it is for", folder)
		}
	}
}

func TestNames(t *testing.T) {
	refused := map[string]bool{"util": true, "utils": true, "common": true, "helpers": true, "misc": true, "types": true, "models": true}
	standards := map[string]bool{}
	out, err := exec.CommandContext(t.Context(), "go", "list", "std").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		standards[path.Base(p)] = true
	}
	eachGoFile(t, func(name string, file *ast.File, _ bool) {
		pkg := file.Name.Name
		if refused[pkg] {
			t.Errorf("%s: package %s says nothing of its meaning", name, pkg)
		}
		// The two that the architecture itself names so: they are what they say.
		if known := path.Dir(name) == "mail" || path.Dir(name) == "mail/mime"; standards[pkg] && pkg != "main" && !known {
			t.Errorf("%s: package %s has the name of a standard one", name, pkg)
		}
	})
}

// TestFileSize holds hand-written files to what reads in one sitting.
func TestFileSize(t *testing.T) {
	const limit = 800
	root := os.DirFS("../web")
	checked := 0
	err := fs.WalkDir(root, "src", func(name string, d fs.DirEntry, err error) error {
		script := strings.HasSuffix(name, ".ts") || strings.HasSuffix(name, ".tsx")
		if err != nil || !script || strings.Contains(name, ".test.") || strings.HasSuffix(name, ".d.ts") {
			return err
		}
		checked++
		text, err := fs.ReadFile(root, name)
		if lines := bytes.Count(text, []byte("\n")); lines > limit {
			t.Errorf("web/%s has %d lines; split it along its meaning (%d at most)", name, lines, limit)
		}
		return err
	})
	if err != nil || checked < 50 {
		t.Errorf("%d files of the web client were checked: %v", checked, err)
	}
	eachGoFile(t, func(name string, file *ast.File, test bool) {
		if test || ast.IsGenerated(file) {
			return
		}
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(text, []byte("\n")); lines > limit {
			t.Errorf("%s has %d lines; split it along its meaning (%d at most)", name, lines, limit)
		}
	})
}

// TestMainIsSmall holds main to flags and signals.
func TestMainIsSmall(t *testing.T) {
	text, err := os.ReadFile("../cmd/commsd/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(text, []byte("\n")); lines >= 100 {
		t.Errorf("main.go has %d lines; under 100 please", lines)
	}
}

// TestLeakChecks demands a goroutine-leak check of every package whose own code
// starts goroutines and that has tests.
func TestLeakChecks(t *testing.T) {
	starts, checks, tests := map[string]bool{}, map[string]bool{}, map[string]bool{}
	eachGoFile(t, func(name string, file *ast.File, test bool) {
		folder := path.Dir(name)
		if test {
			tests[folder] = true
			ast.Inspect(file, func(n ast.Node) bool {
				if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "TestMain" && callsOneOf(f, "testengine.Main", "goleak.VerifyTestMain") {
					checks[folder] = true
				}
				return true
			})
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				starts[folder] = true
			case *ast.CallExpr: // of a WaitGroup or an errgroup; time.AfterFunc, context.AfterFunc
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "Go" || s.Sel.Name == "AfterFunc") {
					starts[folder] = true
				}
			}
			return true
		})
	})
	for folder := range starts {
		if tests[folder] && !checks[folder] {
			t.Errorf("%s starts goroutines; its TestMain must check for leaks (testengine.Main or goleak)", folder)
		}
	}
}

// callsOneOf tells whether f calls one of the functions, named "package.Func".
func callsOneOf(f ast.Node, names ...string) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && slices.Contains(names, pkg.Name+"."+s.Sel.Name) {
					found = true
				}
			}
		}
		return true
	})
	return found
}

// TestNoMachine keeps this or that machine's paths and hosts out of the tree.
func TestNoMachine(t *testing.T) {
	refused := []string{"/wo" + "rk/", "proxy.gol" + "ang.org", "/ro" + "ot/"}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(name) || d.Name() == "artifacts" {
				return fs.SkipDir
			}
			return nil
		}
		if name == ".git" {
			return nil // a worktree's, which points at its repository
		}
		if info, err := d.Info(); err != nil || info.Size() > 1<<20 || strings.HasSuffix(name, ".sum") {
			return err
		}
		text, err := fs.ReadFile(root, name)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			for _, r := range refused {
				if strings.Contains(lines.Text(), r) {
					t.Errorf("%s:%d names %q, which is one machine's", name, n, r)
				}
			}
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func skipped(name string) bool {
	switch path.Base(name) {
	case ".git", "node_modules", "dist", "data", "testdata":
		return true
	}
	// Modules of their own keep their own rules.
	if name != "." {
		if _, err := os.Stat(filepath.Join("..", name, "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// eachGoFile calls fn for every Go file of the module, named from its root.
func eachGoFile(t *testing.T, fn func(name string, file *ast.File, test bool)) {
	t.Helper()
	fset := token.NewFileSet()
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		fn(name, file, strings.HasSuffix(name, "_test.go"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
