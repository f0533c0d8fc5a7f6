package auth

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// BenchmarkSignature is what checking a signature costs a call, apart from
// reading the key.
func BenchmarkSignature(b *testing.B) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	r := httptest.NewRequestWithContext(b.Context(), "POST", "http://localhost:8083/", strings.NewReader("{}"))
	r.Header.Set("X-Amz-Target", "AWSStepFunctions.StartExecution")
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Date", at.Format(timeFormat))
	r.Header.Set("Authorization", algorithm+" Credential=A/20261120/us-east-1/states/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="+strings.Repeat("0", 64))
	for b.Loop() {
		s, err := readSignature(r)
		if err != nil {
			b.Fatal(err)
		}
		if s.check(r, "secret", strings.Repeat("0", 64)) == nil {
			b.Fatal("let in")
		}
	}
}
