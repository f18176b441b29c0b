"""The pages in a browser: headless Chromium, at the widths of a desk and of a phone."""

import csv
import os
import shutil

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("pandas")
pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.serving.connected import HOSTILE, TOKEN, Connect, hostile_model, hostile_service

WIDTHS = {"desk": 1280, "phone": 390}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder):
    return hostile_model(folder, backend="clear")


@pytest.fixture(scope="module")
def service(folder, model):
    with hostile_service(folder) as found:
        yield found


@pytest.fixture(scope="module")
def connect(service, folder):
    token_file = folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN)
    with Connect(service[1], token_file) as found:
        yield found


@pytest.fixture(scope="module")
def driver(folder):
    if BROWSER is None or DRIVER is None:
        pytest.skip("no Chromium with its driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder / 'profile'}"]
    for argument in [*arguments, *["--no-sandbox"] * (os.geteuid() == 0)]:
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    found = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield found
    found.quit()


@pytest.fixture(params=sorted(WIDTHS))
def browser(request, driver):
    """A browser of a width, whose log is empty when the test ends."""
    metrics = {
        "width": WIDTHS[request.param],
        "height": 900,
        "deviceScaleFactor": 1,
        "mobile": request.param == "phone",
    }
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get("about:blank")
    driver.get_log("browser")
    yield driver
    faults = [entry["message"] for entry in driver.get_log("browser")]
    assert not faults  # errors of scripts, and whatever the policy refused
    assert driver.execute_script("return document.documentElement.scrollWidth") <= WIDTHS[request.param]


def wait(browser, condition):
    return WebDriverWait(browser, 60).until(condition)


def by_id(browser, name):
    return browser.find_element(By.ID, name)


def opened(browser, connect):
    browser.get(connect.address)
    wait(browser, lambda browser: by_id(browser, "inputs").is_displayed())


def test_the_page_of_the_service(browser, service):
    browser.get(service[1])
    assert browser.title == "Scores of encrypted rows"
    headings = [heading.text for heading in browser.find_elements(By.TAG_NAME, "h2")]
    assert headings == ["model", "reasons"]
    assert HOSTILE in [item.text for item in browser.find_elements(By.CSS_SELECTOR, ".names li")]
    assert not browser.find_elements(By.TAG_NAME, "img")
    background = browser.find_element(By.TAG_NAME, "pre").value_of_css_property("background-color")
    assert background != "rgba(0, 0, 0, 0)"  # the policy lets the style in


def test_a_row_is_typed_and_explained(browser, connect, model):
    clf, X = model
    opened(browser, connect)
    assert browser.current_url == connect.address.partition("#")[0]  # the secret is not in the history
    labels = [label.text for label in browser.find_elements(By.CSS_SELECTOR, "#fields label")]
    assert labels == list(X.columns)
    for place, value in enumerate(X.iloc[70]):
        by_id(browser, f"feature-{place}").send_keys(repr(value))
    browser.find_element(By.CSS_SELECTOR, "#row button.primary").click()
    answer = wait(browser, lambda browser: browser.find_elements(By.ID, "answer"))[0]
    assert answer.text == clf.predict(X.iloc[70:71])[0]
    text = by_id(browser, "outcome").text
    for part in ("<b>second</b>", "Margin: ", "contributions to the score of class", "Left this machine", "Came back"):
        assert part in text
    assert not browser.find_elements(By.CSS_SELECTOR, "img, main b") and browser.title == "Score encrypted rows"
    widths = [bar.size["width"] for bar in browser.find_elements(By.CSS_SELECTOR, ".bar span")]
    assert widths == sorted(widths, reverse=True) and widths[0] > 5
    browser.refresh()  # the tab remembers the secret
    wait(browser, lambda browser: by_id(browser, "inputs").is_displayed())


def test_what_is_wrong_is_shown(browser, connect):
    opened(browser, connect)
    by_id(browser, "feature-0").send_keys("1,5")
    browser.find_element(By.CSS_SELECTOR, "#row button.primary").click()
    wait(browser, lambda browser: "'1,5' is no number" in by_id(browser, "error").text)
    assert by_id(browser, "error").get_attribute("role") == "alert"
    faults = browser.get_log("browser")
    assert all("400" in entry["message"] for entry in faults)  # the browser's own note of the status


def test_a_file_is_chosen_scored_and_saved(browser, connect, model, folder):
    clf, X = model
    rows, scores = folder / "rows.csv", folder / "scores.csv"
    X.iloc[::10].to_csv(rows, index=False)
    scores.unlink(missing_ok=True)
    opened(browser, connect)
    by_id(browser, "file").send_keys(str(rows))
    by_id(browser, "table-reasons").click()
    browser.find_element(By.CSS_SELECTOR, "#table button.primary").click()
    wait(browser, lambda browser: browser.find_elements(By.ID, "download"))
    cells = browser.find_elements(By.CSS_SELECTOR, "#results .scroll td:nth-child(2)")
    assert [cell.text for cell in cells] == list(clf.predict(X.iloc[::10]))
    browser.find_elements(By.CSS_SELECTOR, "#results td button")[3].click()
    assert by_id(browser, "why").text.startswith("Row 4: ") and "the sum is" in by_id(browser, "why").text
    by_id(browser, "download").click()
    wait(browser, lambda _: scores.exists())
    assert len(list(csv.DictReader(scores.open()))) == 15


def test_a_file_is_dropped(browser, connect, model):
    clf, X = model
    opened(browser, connect)
    browser.execute_script(
        """
        const transfer = new DataTransfer();
        transfer.items.add(new File([arguments[0]], "rows.csv"));
        document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        """,
        X.iloc[:2].to_csv(index=False),
    )
    wait(browser, lambda browser: browser.find_elements(By.ID, "download"))
    cells = browser.find_elements(By.CSS_SELECTOR, "#results .scroll td:nth-child(2)")
    assert [cell.text for cell in cells] == list(clf.predict(X.iloc[:2]))


def test_every_field_has_a_name(browser, connect):
    opened(browser, connect)
    nameless = browser.execute_script(
        """
        return [...document.querySelectorAll("input, select, button, progress")]
          .filter((one) => !(one.labels && one.labels.length) && !one.textContent.trim())
          .map((one) => one.outerHTML);
        """
    )
    assert nameless == []


def test_without_the_secret_there_is_nothing(browser, connect):
    browser.get(connect.address.partition("#")[0])
    browser.execute_script("sessionStorage.clear()")
    browser.refresh()
    wait(browser, lambda browser: "does not have its token" in by_id(browser, "error").text)
    assert not by_id(browser, "inputs").is_displayed()
    browser.get_log("browser")
