import type { FeatureModule } from "../lib/feature";

/**
 * The features that are there: each folder of ../features with an index.tsx.
 * The name is the folder's, and its namespace of texts.
 */
export interface Feature extends FeatureModule {
  name: string;
}

const modules = import.meta.glob<FeatureModule>("../features/*/index.tsx", { eager: true });

export const features: Feature[] = Object.entries(modules).map(([path, module]) => ({
  ...module,
  name: path.split("/")[2] ?? path,
}));

export function feature(name: string): Feature | undefined {
  return features.find((f) => f.name === name);
}
