"""XML to JSON text as a Python program would do it: convert.py LIBRARY FILE prints the median seconds of one conversion."""

import json
import statistics
import sys
import time

library, path = sys.argv[1:]
with open(path, "rb") as file:
    xml = file.read()

if library == "xmltodict":
    import xmltodict

    def convert():
        return json.dumps(xmltodict.parse(xml))

else:
    from lxml import etree

    def tree(element):
        """Attributes and children as a dictionary, repeated children as a list, text where there is nothing else."""
        found = dict(element.attrib)
        for child in element:
            name, value = etree.QName(child).localname, tree(child)
            if name in found:
                if not isinstance(found[name], list):
                    found[name] = [found[name]]
                found[name].append(value)
            else:
                found[name] = value
        return found or element.text

    def convert():
        return json.dumps(tree(etree.fromstring(xml)))


times, end = [], time.perf_counter() + 1
while len(times) < 5 or (time.perf_counter() < end and len(times) < 20_000):
    begun = time.perf_counter()
    if len(convert()) < 10:
        raise SystemExit("nothing was converted")
    times.append(time.perf_counter() - begun)
print(statistics.median(times))
