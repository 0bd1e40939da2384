"""The walkthrough page: its data format, and one file or one folder out of the built bundle. No torch.

* `document`   what a walkthrough holds, as dataclasses; web/src/data.ts is written from them
* `card`       the model in it
* `example`    one input of it
* `evidence`   what is known from many inputs
* `blocks`     arrays into JSON blocks and back
* `bundle`     the built page that ships with the package
* `export`     one self-contained HTML file; HTML for a notebook
"""
