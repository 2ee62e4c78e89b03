// The routes of the measurement in Express 5; a store answers them. PORT, JWT_SECRET and PG… come from the environment.
const express = require('express')
const jwt = require('jsonwebtoken')

function authenticate (request, response, next) {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  if (scheme !== 'Bearer') return response.status(401).json({ error: 'no token' })
  try {
    request.user = jwt.verify(token, process.env.JWT_SECRET, { algorithms: ['HS256'] })
  } catch {
    return response.status(401).json({ error: 'invalid token' })
  }
  next()
}

module.exports = function serve (store) {
  const app = express()
  app.use(express.json())
  app.use('/api', authenticate)
  app.get('/api/vehicles/:parc', async (request, response) => {
    const found = await store.vehicle(request.params.parc)
    if (found) response.json(found)
    else response.status(404).json({ error: 'not found' })
  })
  app.get('/api/events', async (request, response) => response.json({ events: await store.events() }))
  app.get('/public/vehicles', async (request, response) => response.json(await store.publicVehicles()))
  app.post('/api/events', async (request, response) => {
    response.status(201).json(await store.create(request.body))
  })
  app.delete('/api/events/:id', async (request, response) => {
    if (await store.remove(request.params.id)) response.json({ ok: true })
    else response.status(404).json({ error: 'not found' })
  })
  app.listen(Number(process.env.PORT), '127.0.0.1')
}
