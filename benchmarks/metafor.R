# Times metafor on the inputs that benchmarks/run.py wrote into a folder, and prints one JSON object.
# Loops stop after about three seconds and are scaled up; "scaled" says which.
folder <- commandArgs(trailingOnly = TRUE)[1]
load_time <- system.time(ok <- suppressMessages(require(metafor, quietly = TRUE)))
if (!ok) quit(status = 1)
read <- function(name, letter) as.matrix(read.csv(file.path(folder, paste0(name, "-", letter, ".csv")), header = FALSE))
one <- function(y, v) tryCatch(suppressWarnings(rma(yi = y, vi = v, method = "REML", test = "knha")), error = function(e) NULL)

looped <- function(fit, number, seconds = 3) {
  fit(1)
  start <- proc.time()
  done <- 0
  while (done < number && (proc.time() - start)[["elapsed"]] < seconds) {
    done <- done + 1
    fit(done)
  }
  taken <- (proc.time() - start) * number / done
  sprintf('{"cpu": %.6g, "wall": %.6g, "scaled": %s}', taken[["user.self"]] + taken[["sys.self"]], taken[["elapsed"]],
          if (done < number) "true" else "false")
}

repeated <- function(fit, runs) {
  taken <- system.time(for (i in seq_len(runs)) fit(i)) / runs
  sprintf('{"cpu": %.6g, "wall": %.6g, "scaled": false}', taken[["user.self"]] + taken[["sys.self"]], taken[["elapsed"]])
}

bcg <- list(y = read("bcg", "y")[1, ], v = read("bcg", "v")[1, ])
large <- list(y = read("large", "y")[1, ], v = read("large", "v")[1, ])
batch <- list(y = read("batch", "y"), v = read("batch", "v"))
twenty <- list(y = read("twenty", "y")[1, ], v = read("twenty", "v")[1, ])
n <- nrow(batch$y)
subset_of <- function(data, i) {
  set.seed(i)
  keep <- sample(c(TRUE, FALSE), length(data$y), replace = TRUE)
  keep[1:2] <- TRUE
  list(y = data$y[keep], v = data$v[keep])
}
subset_fit <- function(data, method) function(i) {
  part <- subset_of(data, i)
  tryCatch(suppressWarnings(rma(yi = part$y, vi = part$v, method = method)), error = function(e) NULL)
}
timings <- c(
  pool_13 = repeated(function(i) one(bcg$y, bcg$v), 300),
  pool_1000 = repeated(function(i) one(large$y, large$v), 2),
  batch = looped(function(i) one(batch$y[(i - 1) %% n + 1, ], batch$v[(i - 1) %% n + 1, ]), 100000),
  subsets_20_common = looped(subset_fit(twenty, "EE"), 1048555),
  subsets_20_dl = looped(subset_fit(twenty, "DL"), 1048555),
  subsets_13_reml = looped(subset_fit(bcg, "REML"), 8191),
  leave_one_out = looped(function(i) one(large$y[-i], large$v[-i]), 1000)
)
cat(sprintf('{"version": "%s", "r": "%s", "import": %.4g, "tau2": %.15g, "tasks": {%s}}\n',
            packageVersion("metafor"), getRversion(), load_time[["user.self"]] + load_time[["sys.self"]],
            one(bcg$y, bcg$v)$tau2,
            paste(sprintf('"%s": %s', names(timings), timings), collapse = ", ")))
