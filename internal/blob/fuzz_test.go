package blob

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParsePath: what Walk takes for a blob has exactly the path that Put
// gives it, and no path leaves its folder.
func FuzzParsePath(f *testing.F) {
	f.Add("mail/a1/ab/" + strings.Repeat("c", 62))
	f.Add("../../etc/passwd")
	f.Add("mail/../ab/x")
	f.Fuzz(func(t *testing.T, path string) {
		ref, ok := parsePath(path)
		if ok && (ref.path() != path || !filepath.IsLocal(path) || filepath.Clean(path) != path) {
			t.Errorf("%q is taken for %+v", path, ref)
		}
	})
}

// FuzzParseS3: no error repeats the URL, which holds a secret.
func FuzzParseS3(f *testing.F) {
	f.Add("s3://key:hush@host:9000/bucket?region=hn&insecure=true")
	f.Add("s3://key:hush%zz@host/bucket")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseS3("s3://key:hush" + text)
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && (at.bucket == "" || strings.Contains(at.bucket, "/") || at.endpoint == "") {
			t.Errorf("%q gives %+v", text, at)
		}
	})
}
