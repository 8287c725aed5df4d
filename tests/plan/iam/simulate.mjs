// Reads a list of simulations from stdin, writes a list of {result, ignored, denied} or {errors} to stdout. No network.
import { runSimulation } from '@cloud-copilot/iam-simulate'

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const answers = []
for (const simulation of JSON.parse(Buffer.concat(chunks).toString('utf8'))) {
  // Documents, action, resource and context keys are validated as well.
  const response = await runSimulation(simulation, { simulationMode: 'Strict' })
  if (response.resultType !== 'single') {
    answers.push({ errors: response.errors ?? 'more than one resource' })
    continue
  }
  const { analysis, ignoredContextKeys } = response.result
  const denied = (analysis.resourceAnalysis?.denyStatements ?? []).map((s) => s.explain.identifier)
  answers.push({ result: response.overallResult, ignored: ignoredContextKeys ?? [], denied })
}
process.stdout.write(JSON.stringify(answers))
