// XML to JSON text as a Go program would do it: prints the median seconds of one conversion of the file it is given.
package main

import (
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/clbanning/mxj"
)

func main() {
	xml, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var times []float64
	end := time.Now().Add(time.Second)
	for len(times) < 5 || (time.Now().Before(end) && len(times) < 20000) {
		begun := time.Now()
		document, err := mxj.NewMapXml(xml)
		if err != nil {
			panic(err)
		}
		if text, err := document.Json(); err != nil || len(text) < 10 {
			panic("nothing was converted")
		}
		times = append(times, time.Since(begun).Seconds())
	}
	sort.Float64s(times)
	fmt.Println(times[len(times)/2])
}
