// Receives webhooks of emgate with nothing but Go's standard library.
//
//	WEBHOOK_SECRET=whsec_… PORT=8090 go run receiver.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance = 5 * time.Minute
	limit     = 8 << 20 // bytes
)

// verify says why the request is not to be believed; nil if it is.
func verify(key []byte, header http.Header, body []byte) error {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("the timestamp is missing or more than 5 minutes off")
	}
	// The bytes as they came: JSON that was parsed and written again has another signature.
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	expected := mac.Sum(nil)
	// While a secret is being rotated there are two signatures.
	for _, part := range strings.Split(header.Get("webhook-signature"), " ") {
		given, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(part, "v1,"))
		if err == nil && hmac.Equal(given, expected) {
			return nil
		}
	}
	return errors.New("the signature is wrong")
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil {
		log.Fatal("WEBHOOK_SECRET: ", err)
	}
	var seen sync.Map // keep it in a database: an event may arrive more than once
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, limit))
		if err == nil {
			err = verify(key, request.Header, body)
		}
		if err != nil {
			http.Error(answer, err.Error(), http.StatusUnauthorized)
			return
		}
		var event struct{ Type, Timestamp string }
		if _, known := seen.LoadOrStore(request.Header.Get("webhook-id"), true); !known && json.Unmarshal(body, &event) == nil {
			fmt.Println(event.Type, event.Timestamp)
		}
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "8090"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, nil))
}
