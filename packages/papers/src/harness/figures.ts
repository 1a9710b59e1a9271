// What an arm may show beside its numbers. Figures are data, not drawings: pages and reports draw them, in their own
// type and colours, and lay figures of several arms that have the same id over each other or side by side.

/** One direction of a plot. */
export interface FigureAxis {
  /** With the unit, e.g. "recall, %". */
  readonly label: string;
  /** Default linear. On a logarithmic scale, values that are not positive are not drawn. */
  readonly scale?: "linear" | "log";
  /** Left out, what the values span; what lies outside is cut off. */
  readonly range?: readonly [number, number];
}

interface FigureFrame {
  /** At most 60 letters, digits and single dashes; the same in every arm that shows this figure. */
  readonly id: string;
  /** At most 200 characters, as all labels and the captions of pictures. */
  readonly title: string;
  /** What is seen and how to read it, one or two sentences, at most 1,000 characters. */
  readonly caption: string;
}

/** Curves, e.g. a spectrum or precision against recall. Arms are laid over each other. */
export interface LinesFigure extends FigureFrame {
  readonly kind: "lines";
  readonly x: FigureAxis;
  readonly y: FigureAxis;
  /** At most 8 series of at most 2,000 points each. */
  readonly series: readonly {
    /**
     * Empty when the arm has one series only: then the arm's label stands for it. Series of one label are laid over each
     * other in a plot of their own, so label them alike in all arms.
     */
    readonly label: string;
    readonly points: readonly (readonly [x: number, y: number])[];
    /** Same in all arms and drawn once, in grey, e.g. chance. */
    readonly guide?: boolean;
  }[];
}

/** Single points, e.g. alignment against uniformity. Arms are laid over each other. */
export interface PointsFigure extends FigureFrame {
  readonly kind: "points";
  readonly x: FigureAxis;
  readonly y: FigureAxis;
  /** At most 8 series of at most 2,000 points each. */
  readonly series: readonly {
    readonly label: string;
    readonly points: readonly (readonly [x: number, y: number])[];
    /** One for each point. */
    readonly labels?: readonly string[];
    /** Joined in their order, e.g. the way of a training through the plane. */
    readonly joined?: boolean;
  }[];
}

/** Values for categories, e.g. the share of ones of every bit. Arms stand beside each other. */
export interface BarsFigure extends FigureFrame {
  readonly kind: "bars";
  /** At most 128. */
  readonly categories: readonly string[];
  readonly y: FigureAxis;
  /** At most 8. */
  readonly series: readonly {
    readonly label: string;
    /** One for each category. */
    readonly values: readonly number[];
  }[];
}

/** A table of shades with its numbers, e.g. similarities between modalities. One for each arm, on one scale. */
export interface MatrixFigure extends FigureFrame {
  readonly kind: "matrix";
  /** At most 64 each way. */
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** [row][column]; null is left blank. */
  readonly values: readonly (readonly (number | null)[])[];
  /** What the shades span. */
  readonly range: readonly [number, number];
  /** What a value is, with its unit. */
  readonly label: string;
  readonly digits: number;
}

/** 8-bit samples, row by row from the top left, grey or RGB. */
export interface FigurePicture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** Rows of small pictures, e.g. a prototype with its nearest images. One for each arm. */
export interface GalleryFigure extends FigureFrame {
  readonly kind: "gallery";
  /** At most 24 rows of at most 16 pictures, none larger than 256 × 256. */
  readonly rows: readonly {
    readonly label: string;
    readonly items: readonly {
      readonly picture: FigurePicture;
      /** Below the picture, and its text for those who do not see it. */
      readonly caption: string;
    }[];
  }[];
}

export type Figure = LinesFigure | PointsFigure | BarsFigure | MatrixFigure | GalleryFigure;
