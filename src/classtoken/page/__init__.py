"""The walkthrough page: its data format, and one file or one folder out of the built bundle. No torch.

* `document`   what a walkthrough holds, as dataclasses whose fields are those of web/src/data.ts
* `example`    one input of it
* `blocks`     arrays into JSON blocks and back
* `bundle`     the built page that ships with the package
* `export`     one self-contained HTML file; HTML for a notebook
"""
