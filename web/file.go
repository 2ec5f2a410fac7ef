package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// file is one embedded file, ready to be sent.
type file struct {
	body  []byte
	kind  string // Content-Type
	etag  string
	cache string // Cache-Control

	brotli []byte        // RFC 7932, made by the build; nil: none
	zipped func() []byte // nil result: not worth it; made at the first request and kept
}

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{
		body:  body,
		kind:  mime.TypeByExtension(path.Ext(name)),
		etag:  `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		cache: "no-cache",
	}
	if strings.HasPrefix(name, "assets/") { // Vite puts a hash of the content into the name
		f.cache = "public, max-age=31536000, immutable"
	}
	f.zipped = sync.OnceValue(func() []byte { return squeeze(f.kind, body) })
	return f
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.kind)
	header.Set("Cache-Control", f.cache)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept-Encoding")
	body, etag := f.encoded(r.Header.Get("Accept-Encoding"), header)
	header.Set("ETag", etag)
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeBody(w, r, body)
}

// encoded chooses the smallest form that the client takes, and names it. Each
// form has a tag of its own (RFC 9110 section 8.8.3.3).
func (f *file) encoded(accepted string, header http.Header) (body []byte, etag string) {
	tag := strings.TrimSuffix(f.etag, `"`)
	if f.brotli != nil && accepts(accepted, "br") {
		header.Set("Content-Encoding", "br")
		return f.brotli, tag + `-br"`
	}
	if accepts(accepted, "gzip") {
		if z := f.zipped(); z != nil {
			header.Set("Content-Encoding", "gzip")
			return z, tag + `-gz"`
		}
	}
	return f.body, f.etag
}

// accepts reads Accept-Encoding (RFC 9110 section 12.5.3) as far as it matters
// here: the coding named, and not with a weight of zero.
func accepts(accepted, wanted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), wanted) {
			continue
		}
		q := strings.ReplaceAll(weight, " ", "")
		return q != "q=0" && strings.Trim(strings.TrimPrefix(q, "q=0."), "0") != "" || q == ""
	}
	return false
}

// squeeze compresses what compresses well; pictures and fonts are dense already.
func squeeze(kind string, body []byte) []byte {
	text := strings.HasPrefix(kind, "text/") || strings.Contains(kind, "json") || strings.Contains(kind, "svg")
	if !text || len(body) < 1024 {
		return nil
	}
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := z.Write(body); err != nil {
		return nil
	}
	if err := z.Close(); err != nil || buf.Len() >= len(body) {
		return nil
	}
	return buf.Bytes()
}
