// @ts-check
// What the server answers, and what the page makes of it. Types for people and for the checker; nothing runs here.

/*
 * The door.
 *
 * Ask: a route with its parameters, and an answer as from the network.
 * Host: what is around the page.
 */

/**
 * @callback Ask
 * @param {string} route
 * @param {[string, string | number][]} parameters
 * @param {Record<string, string>} headers
 * @returns {Promise<Response>}
 */

/**
 * @typedef {object} Advice What is said where the page can't go on by itself.
 * @property {string} silent nobody answers
 * @property {(answer: string) => string} refused the answer is an error
 * @property {string} empty there is no run yet, and there should be
 * @property {string} upgrade where a newer fm-callback is needed for a newer log
 */

/**
 * @typedef {object} Host
 * @property {() => Map<string, string>} readHash our entries of the address
 * @property {(entries: [string, string][], asNew: boolean) => void} writeHash asNew: the Back button returns
 * @property {(listener: () => void) => void} onHash somebody else changed the address
 * @property {() => boolean} dark
 * @property {(listener: () => void) => void} onDark dark() may have changed
 * @property {(listener: () => void) => void} onReload the data are to be asked for now
 * @property {(key: string) => void} remember that somebody has seen it, for good
 * @property {(key: string) => boolean} recalls
 * @property {Document} document whose links may download
 * @property {Advice} advice
 */

/*
 * The answer to `runs`.
 */

/**
 * @typedef {object} RunsAnswer
 * @property {number} format the newest format that the server can read
 * @property {Record<string, Partial<Words>>} measures as far as anybody described them
 * @property {LayerAnswer[][]} layouts
 * @property {RunAnswer[]} runs
 * @property {string[]} problems
 */

/**
 * @typedef {object} Words What a field or a layer's summary is called, and how it is written.
 * @property {string} label
 * @property {string} short
 * @property {"score" | "share" | "count" | "value"} kind
 * @property {number | null} [chance]
 * @property {string} [says]
 * @property {boolean} [sided] whether 0 shows as much as 1: a channel may show the object as its dark side
 */

/**
 * @typedef {object} RunAnswer
 * @property {string} run what it is asked for by
 * @property {string} name what people call it
 * @property {number} layout index in `layouts`
 * @property {"epoch" | "batch"} step_unit
 * @property {number} format
 * @property {{v: string, steps: number[]}[]} steps rising over all parts
 * @property {number} wall when the newest step was written, in seconds since 1970, by the writer's clock or its disk's
 * @property {number | null} pace median seconds between the last steps
 * @property {Probe} probe
 * @property {Label[]} labels
 * @property {Prediction | null} prediction
 * @property {Record<string, unknown>} model
 * @property {string[]} problems
 */

/**
 * @typedef {object} Probe
 * @property {number} images how many samples all numbers are over
 * @property {number} stored of how many the maps are stored
 * @property {string | null} scaling
 * @property {[number, number] | null} plane height and width of its pictures, as far as they are known
 * @property {number | null} slice_axis which axis of a volume is cut
 * @property {number[]} slices index of the slice of each stored sample
 * @property {number} pictures how many inputs can be shown
 * @property {number} labels how many label pictures can be shown
 */

/**
 * @typedef {object} Label
 * @property {string} name
 * @property {number | null} value
 * @property {string | null} colour "#rrggbb"
 * @property {boolean} foreground
 * @property {boolean} ignored
 */

/**
 * @typedef {object} Prediction What does not change from step to step about what the model predicts.
 * @property {"labels" | "class"} kind a label for each cell, or a class for each sample
 * @property {string | null} output its name, where the model has several
 * @property {Label[]} labels what a pixel or a class stands for, by position
 * @property {number[]} truth for each label of the masks its position in `labels`; -1 where it is ignored or not known
 * @property {[number, number]} size height and width of a stored prediction; empty for a class
 */

/**
 * @typedef {object} Facts What does not change from step to step about a layer.
 * @property {string} path
 * @property {string} kind
 * @property {number | null} number
 * @property {number[] | null} kernel
 * @property {string | null} activation
 * @property {number[]} shape of the output for one image, channels last
 * @property {[number, number]} map height and width of a stored map
 * @property {boolean} planar whether a map lies over the picture
 * @property {number | null} slice of the first sample, where a map has a third axis
 * @property {number | null} slice_axis
 * @property {number[]} slices of each stored sample
 * @property {number} prefix tokens before those of the picture, which are left out
 * @property {number[]} channels indices of those that are logged
 * @property {number} rows of the stored grid
 * @property {number} columns of the stored grid
 * @property {string[]} fields
 * @property {string[]} summaries
 * @property {Record<string, number>} cells
 * @property {Record<string, number>} images in how many samples there is a cell of each
 * @property {boolean | null} trainable whether the training may change its weights; null where it has none
 * @property {number} period by how much an upsampling has enlarged its maps; 0 if none has
 * @property {number} dilation
 * @property {number | null} order which of all calls of layers it was in a pass; null where that is not known
 */

/**
 * @typedef {object} FindingsAnswer The answer to `findings`, asked with `run` and, to have it kept, `v`: the `v` of the
 *   newest step, "-", and that step.
 * @property {Finding[]} findings the gravest first
 * @property {number} more how many are left out
 */

/**
 * @typedef {object} Finding Something that stands out in a run. All texts may hold names from the log.
 * @property {string} kind "non_finite", "dead_layer", ...
 * @property {"alarm" | "warning" | "note"} severity
 * @property {string} text sentences, of which the first stands for itself
 * @property {string | null} layer what it is asked for by
 * @property {number | null} channel index in the layer
 * @property {number | null} step since which
 * @property {Record<string, number | string | null>} evidence
 * @property {string} advice
 * @property {Record<string, string | number>} link entries of the address, but for `run`
 */

/** @typedef {{layer: string} & Facts} LayerAnswer or, in the place of most facts, `problem` */

/*
 * What the page makes of it.
 */

/**
 * @typedef {object} Log
 * @property {"loading" | "ready" | "failed"} status
 * @property {number} format
 * @property {Record<string, Partial<Words>>} measures as far as anybody described them
 * @property {Run[]} runs
 * @property {string[]} problems
 * @property {string | null} error
 */

/**
 * @typedef {object} Run
 * @property {string} id what it is asked for by
 * @property {string} name
 * @property {number} age of two with one id, the one of the higher age is the newer
 * @property {"epoch" | "batch"} unit
 * @property {number} format
 * @property {number[]} steps
 * @property {Map<number, string>} versions of each step
 * @property {number} arrived when its newest step came, in seconds since 1970, by the server's clock
 * @property {number | null} pace
 * @property {Probe} probe
 * @property {Label[]} labels
 * @property {Prediction | null} prediction
 * @property {Record<string, unknown>} model
 * @property {string[]} problems
 * @property {Layer[]} layers
 * @property {Layer[]} drawable those without a problem
 */

/** @typedef {Facts & {name: string, run: Run, problem?: string}} Layer `name` is what it is asked for by */

/** @typedef {Words & {field: string}} Measure */

/**
 * @typedef {object} Wish A picture that is wanted.
 * @property {string} key
 * @property {Layer} layer
 * @property {number} step
 * @property {number} image
 * @property {string} version
 */

/**
 * @typedef {object} Picture A decoded grid of maps, a byte a cell.
 * @property {string} key
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} pixels
 */

/**
 * @typedef {object} LabelPicture For each cell the position of its label in the run's list.
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} pixels
 * @property {Label[]} labels
 */

/** @typedef {[number, number]} Range low and high, in values */

export {};
